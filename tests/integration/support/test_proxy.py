"""Network faults simulated by the proxy of the tests."""

import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from devstack import redis as local_redis
from tests.support.databases import fetch_value, wait_for
from tests.support.proxy import Proxy

CLIENT_TIMEOUT = 0.3  # seconds


@pytest.fixture
def proxy(redis_server: local_redis.Server, redis_client: redis.Redis) -> Iterator[Proxy]:
    with Proxy(redis_server.url) as proxy:
        yield proxy
    assert not [thread for thread in threading.enumerate() if thread.name == "proxy"]


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with connect(proxy) as client:
        yield client


def connect(proxy: Proxy, timeout: float = CLIENT_TIMEOUT) -> redis.Redis:
    return redis.Redis.from_url(
        proxy.url, socket_timeout=timeout, socket_connect_timeout=timeout, retry=Retry(NoBackoff(), 0)
    )


def test_proxy_forwards_data_in_both_directions(client: redis.Redis) -> None:
    value = b"x" * 1_000_000

    client.set("key", value)

    assert client.get("key") == value


def test_url_of_proxy_keeps_user_and_database(database_url: str) -> None:
    with Proxy(database_url) as proxy:
        connection = psycopg2.connect(proxy.url)

        assert fetch_value(connection, "SELECT current_database()") == database_url.rpartition("/")[2]
        connection.close()


def test_silent_proxy_delivers_data_after_it_resumes(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis
) -> None:
    client.ping()

    proxy.silence()
    with pytest.raises(redis.TimeoutError):
        client.set("key", "late")
    with connect(proxy) as other, pytest.raises(redis.TimeoutError):  # only the kernel has accepted the connection
        other.ping()
    value_while_silent = redis_client.get("key")
    proxy.resume()

    assert value_while_silent is None
    assert wait_for(lambda: redis_client.get("key")) == b"late"


def test_connections_stay_open_while_the_proxy_is_silent(proxy: Proxy, redis_client: redis.Redis) -> None:
    with connect(proxy, timeout=10) as client:
        before = client.client_id()
        proxy.silence()
        timer = threading.Timer(CLIENT_TIMEOUT, proxy.resume)
        timer.start()
        started_at = time.monotonic()

        assert client.client_id() == before
        assert time.monotonic() - started_at >= CLIENT_TIMEOUT * 0.9
        timer.join()


def test_cut_closes_connections_and_new_ones_are_forwarded(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis
) -> None:
    before = client.client_id()

    proxy.cut()

    assert wait_for(lambda: client_id_if_connected(client)) != before
    wait_for(lambda: before not in client_ids(redis_client))


def client_id_if_connected(client: redis.Redis) -> int | None:
    """Return the id of the connection; None until redis-py has replaced a closed one."""
    try:
        return int(client.client_id())
    except redis.ConnectionError:
        return None


def client_ids(redis_client: redis.Redis) -> set[int]:
    """Return the ids of the server's connections."""
    return {int(client["id"]) for client in redis_client.client_list()}


def test_silent_connection_can_be_cut(proxy: Proxy, client: redis.Redis) -> None:
    client.ping()

    proxy.silence()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    proxy.cut()
    proxy.resume()

    assert client.ping()


def test_proxy_refuses_connections_until_it_resumes(proxy: Proxy, client: redis.Redis) -> None:
    client.ping()

    proxy.refuse()
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            client.ping()
    proxy.resume()

    assert client.ping()


def test_proxy_delays_each_chunk(proxy: Proxy, client: redis.Redis) -> None:
    client.ping()
    proxy.delay = 0.1

    started_at = time.monotonic()
    client.ping()

    assert time.monotonic() - started_at >= 0.2  # request and reply


def test_proxy_closes_a_connection_that_either_side_has_closed(proxy: Proxy, redis_client: redis.Redis) -> None:
    with connect(proxy) as client:
        before = client.client_id()
        redis_client.client_kill_filter(_id=str(before))

        after = wait_for(lambda: client_id_if_connected(client))
        assert after != before
        assert after in client_ids(redis_client)

    wait_for(lambda: after not in client_ids(redis_client))


def test_connection_is_closed_if_the_server_is_unavailable() -> None:
    with Proxy("redis://127.0.0.1:1/0") as proxy, connect(proxy) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_proxy_stops_while_it_is_silent_and_in_use(redis_server: local_redis.Server) -> None:
    with Proxy(redis_server.url) as proxy, connect(proxy) as client:
        client.ping()
        proxy.silence()
        with pytest.raises(redis.TimeoutError):
            client.ping()
