"""The network that tests put between processes and servers does what its modes say."""

import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from devstack import redis as local_redis
from tests.support.databases import one, wait_for
from tests.support.proxy import Proxy

PATIENCE = 0.3  # seconds


@pytest.fixture
def proxy(redis_server: local_redis.Server, redis_client: redis.Redis) -> Iterator[Proxy]:
    with Proxy(redis_server.url) as proxy:
        yield proxy
    assert not [thread for thread in threading.enumerate() if thread.name == "proxy"]


@pytest.fixture
def client(proxy: Proxy) -> Iterator[redis.Redis]:
    with connect(proxy) as client:
        yield client


def connect(proxy: Proxy, patience: float = PATIENCE) -> redis.Redis:
    return redis.Redis.from_url(
        proxy.url, socket_timeout=patience, socket_connect_timeout=patience, retry=Retry(NoBackoff(), 0)
    )


def test_it_forwards_both_ways(client: redis.Redis) -> None:
    value = b"x" * 1_000_000

    client.set("key", value)

    assert client.get("key") == value


def test_it_carries_the_user_and_the_database_of_a_url(database_url: str) -> None:
    with Proxy(database_url) as proxy:
        connection = psycopg2.connect(proxy.url)

        assert one(connection, "SELECT current_database()") == database_url.rpartition("/")[2]
        connection.close()


def test_a_silent_network_holds_back_what_comes_through_later(
    proxy: Proxy, client: redis.Redis, redis_client: redis.Redis
) -> None:
    client.ping()

    proxy.silence()
    with pytest.raises(redis.TimeoutError):
        client.set("key", "late")
    with connect(proxy) as other, pytest.raises(redis.TimeoutError):  # connected by the kernel, and no more
        other.ping()
    absent = redis_client.get("key")
    proxy.resume()

    assert absent is None
    assert wait_for(lambda: redis_client.get("key")) == b"late"


def test_connections_stay_open_while_the_network_is_silent(proxy: Proxy, redis_client: redis.Redis) -> None:
    with connect(proxy, patience=10) as client:
        before = client.client_id()
        proxy.silence()
        timer = threading.Timer(PATIENCE, proxy.resume)
        timer.start()
        started = time.monotonic()

        assert client.client_id() == before
        assert time.monotonic() - started >= PATIENCE * 0.9
        timer.join()


def test_a_cut_ends_connections_and_new_ones_work(proxy: Proxy, client: redis.Redis, redis_client: redis.Redis) -> None:
    before = client.client_id()

    proxy.cut()

    assert wait_for(lambda: answered(client)) != before
    wait_for(lambda: before not in connected(redis_client))


def answered(client: redis.Redis) -> int | None:
    """Return the id of a connection that works, once redis-py has noticed that its old one does not."""
    try:
        return int(client.client_id())
    except redis.ConnectionError:
        return None


def connected(redis_client: redis.Redis) -> set[int]:
    """Return the ids of the server's connections."""
    return {int(each["id"]) for each in redis_client.client_list()}


def test_a_silent_connection_can_be_cut(proxy: Proxy, client: redis.Redis) -> None:
    client.ping()

    proxy.silence()
    with pytest.raises(redis.TimeoutError):
        client.ping()
    proxy.cut()
    proxy.resume()

    assert client.ping()


def test_it_refuses_until_it_resumes(proxy: Proxy, client: redis.Redis) -> None:
    client.ping()

    proxy.refuse()
    for _ in range(3):
        with pytest.raises(redis.ConnectionError):
            client.ping()
    proxy.resume()

    assert client.ping()


def test_each_chunk_is_delayed(proxy: Proxy, client: redis.Redis) -> None:
    client.ping()
    proxy.delay = 0.1

    started = time.monotonic()
    client.ping()

    assert time.monotonic() - started >= 0.2  # there and back


def test_it_closes_a_connection_that_either_side_ended(proxy: Proxy, redis_client: redis.Redis) -> None:
    with connect(proxy) as client:
        before = client.client_id()
        redis_client.client_kill_filter(_id=str(before))

        after = wait_for(lambda: answered(client))
        assert after != before
        assert after in connected(redis_client)

    wait_for(lambda: after not in connected(redis_client))


def test_a_server_that_is_away_ends_the_connection() -> None:
    with Proxy("redis://127.0.0.1:1/0") as proxy, connect(proxy) as client, pytest.raises(redis.ConnectionError):
        client.ping()


def test_it_ends_while_it_is_silent_and_in_use(redis_server: local_redis.Server) -> None:
    with Proxy(redis_server.url) as proxy, connect(proxy) as client:
        client.ping()
        proxy.silence()
        with pytest.raises(redis.TimeoutError):
            client.ping()
