"""The server with slow, greedy and faulty clients: what it rejects, and that it still responds to the others."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from statistics import median

import psycopg2
import pytest
from flask import Flask
from waitress.task import ThreadedTaskDispatcher

from api.http.connection import ClientConnection
from api.http.limits import DEFAULT_LIMITS, MAX_BODY_SIZE, MAX_BULK_BODY_SIZE, MAX_HEADER_SIZE
from api.http.server import Server
from devstack.ports import HOST
from tests.support.databases import MODEL, Connection, execute, fetch_value, schedule_many, wait_for
from tests.support.processes import peak_memory, runs_within
from tests.support.raw_http import Api, encode_request, exchange, parse_response, receive_all, running_api, statuses
from tests.support.short_timeout_api import LIMITS as IMPATIENT_LIMITS

UNREACHABLE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}
LARGE_RESPONSE = "GET /schedule?limit=1000 HTTP/1.1"  # 400 kB
SMALL_BUFFER = 4096  # bytes


@pytest.fixture(scope="module")
def bare_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API without PostgreSQL and Redis, which suffices for rejected requests and for /healthz."""
    with running_api(UNREACHABLE, tmp_path_factory.mktemp("bare")) as api:
        yield api


@contextmanager
def trickling(connections: Sequence[socket.socket]) -> Iterator[None]:
    """Send a byte on each connection every 0.2 seconds."""
    done = threading.Event()

    def trickle() -> None:
        while not done.wait(0.2):
            for connection in connections:
                with suppress(OSError):
                    connection.send(b"x")

    thread = threading.Thread(target=trickle)
    thread.start()
    yield
    done.set()
    thread.join()


def test_slow_and_unread_connections_do_not_delay_others(env: dict[str, str], db: Connection, tmp_path: Path) -> None:
    schedule_many(db, 1000)
    with running_api(env, tmp_path) as api, ExitStack() as stack:
        header_senders = [stack.enter_context(api.connect()) for _ in range(200)]
        body_senders = [stack.enter_context(api.connect()) for _ in range(100)]
        non_readers = [stack.enter_context(api.connect(receive_buffer=SMALL_BUFFER)) for _ in range(50)]
        for connection in header_senders:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        for connection in body_senders:
            connection.sendall(encode_request("PUT /schedule HTTP/1.1", content_length=MAX_BULK_BODY_SIZE))
        for connection in non_readers:
            connection.sendall(encode_request(LARGE_RESPONSE) * 20)
        for connection in non_readers:
            connection.recv(1)

        with trickling(header_senders + body_senders):
            seconds = [api.response_time("GET /schedule?limit=1 HTTP/1.1") for _ in range(100)]

        assert median(seconds) < 0.2
        assert max(seconds) < 2


@pytest.mark.parametrize(
    ("request_", "status", "kind"),
    [
        (encode_request("GET /healthz HTTP/1.1\nX-Long: " + "x" * MAX_HEADER_SIZE), 431, "header-too-large"),
        (encode_request("GET /" + "x" * MAX_HEADER_SIZE + " HTTP/1.1"), 431, "header-too-large"),
        (encode_request("POST /schedule HTTP/1.1", b"1" * (MAX_BODY_SIZE + 1)), 413, "too-large"),
        (encode_request("POST /schedule HTTP/1.1", content_length=10**12), 413, "too-large"),
        (encode_request("POST /schedule HTTP/1.1\nExpect: 100-continue", content_length=10**12), 413, "too-large"),
        (encode_request("PUT /schedule HTTP/1.1", content_length=MAX_BULK_BODY_SIZE + 1), 413, "too-large"),
        (encode_request("POST /schedule HTTP/1.1\nContent-Length: " + "9" * 5000), 400, "malformed"),
        (encode_request("POST /schedule HTTP/1.1\nContent-Length: -1"), 400, "malformed"),
        (encode_request("POST /schedule HTTP/1.1\nContent-Length: 2\nContent-Length: 3") + b"123", 400, "malformed"),
        (encode_request("POST /schedule HTTP/1.1\nTransfer-Encoding: gzip"), 400, "malformed"),
        (
            encode_request("POST / HTTP/1.1\nTransfer-Encoding: chunked\nContent-Length: 3") + b"0\r\n\r\n",
            400,
            "malformed",
        ),
        (encode_request("POST /schedule HTTP/1.0\nTransfer-Encoding: chunked") + b"0\r\n\r\n", 400, "malformed"),
        (encode_request("POST /schedule HTTP/1.1\nTransfer-Encoding: chunked") + b"x\r\n", 400, "malformed"),
        (
            encode_request("POST /schedule HTTP/1.1\nTransfer-Encoding: chunked") + b"1ffff\r\n" + b"1" * 0x1FFFF,
            413,
            "too-large",
        ),
        (encode_request("GET http://[/ HTTP/1.1"), 400, "malformed"),
        (encode_request("get /healthz HTTP/1.1"), 400, "malformed"),
        (encode_request("GET /\xff HTTP/1.1"), 400, "malformed"),
        (b"\x16\x03\x01\x02\x00\x01\r\n\r\n", 400, "malformed"),
    ],
)  # fmt: skip
def test_rejected_request_gets_one_problem_and_closes_the_connection(
    bare_api: Api, request_: bytes, status: int, kind: str
) -> None:
    """The bytes that follow it are not parsed as another request."""
    response = parse_response(bare_api.exchange(request_ + encode_request("GET /healthz HTTP/1.1")))

    assert (response.status, response.headers["Content-Type"]) == (status, "application/problem+json")
    assert (response.json["type"], response.json["status"]) == (f"urn:cyclic-metrics:problem:{kind}", status)
    assert response.headers["Connection"] == "close"
    assert "Server" not in response.headers


@pytest.mark.parametrize(
    "request_",
    [
        encode_request("GET /healthz HTTP/1.1\nExpect: 100-continue"),
        encode_request("GET /healthz HTTP/1.0\nConnection: keep-alive"),
        encode_request("GET http://127.0.0.1/healthz HTTP/1.1"),
    ],
)
def test_unusual_but_valid_request_is_served(bare_api: Api, request_: bytes) -> None:
    assert parse_response(bare_api.exchange(request_)).status == 200


def test_url_with_hundred_model_ids_is_accepted(bare_api: Api) -> None:
    """The request gets as far as Redis, which is unreachable."""
    url = "/results?" + "&".join(f"model_id={MODEL}" for _ in range(100))

    assert (
        parse_response(bare_api.exchange(encode_request(f"GET {url} HTTP/1.1"))).json["type"].endswith(":unavailable")
    )


def test_expect_100_continue_gets_100_before_the_response(bare_api: Api) -> None:
    with bare_api.connect() as connection:
        connection.sendall(encode_request("POST /healthz HTTP/1.1\nExpect: 100-continue", content_length=2))
        interim = connection.recv(1 << 16)
        response = exchange(connection, b"{}")

    assert interim == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert statuses(response) == [405]


def test_client_that_sends_all_of_a_rejected_body_can_read_the_response(bare_api: Api) -> None:
    """Most libraries send the whole body first; closing a socket that has unread bytes would discard the response."""
    client = http.client.HTTPConnection(HOST, bare_api.port, timeout=10)

    client.request("POST", "/schedule", b"1" * (8 * MAX_BULK_BODY_SIZE))

    assert client.getresponse().status == 413
    client.close()


def test_pipelined_requests_are_answered_in_order(bare_api: Api) -> None:
    known, unknown = encode_request("GET /healthz HTTP/1.1"), encode_request("GET /nothing HTTP/1.1")

    responses = bare_api.exchange((known + b"\r\n\r\n" + unknown) * 50)

    assert statuses(responses) == [200, 404] * 50


def test_response_without_a_body_keeps_the_connection_open(env: dict[str, str], db: Connection, tmp_path: Path) -> None:
    schedule_many(db, 1)
    model_id = fetch_value(db, "SELECT model_id FROM metrics_executions")
    with running_api(env, tmp_path) as api:
        not_modified = encode_request(f"GET /results/{MODEL}/history HTTP/1.1\nIf-None-Match: *")
        deletion = encode_request(f"DELETE /schedule/{model_id} HTTP/1.1")

        assert statuses(api.exchange(not_modified + deletion + encode_request("GET /healthz HTTP/1.1"))) == [
            304,
            204,
            200,
        ]


def test_unread_responses_occupy_no_thread(env: dict[str, str], db: Connection, tmp_path: Path) -> None:
    schedule_many(db, 1000)
    with running_api(env, tmp_path) as api, ExitStack() as stack:
        for _ in range(2 * DEFAULT_LIMITS.threads):
            connection = stack.enter_context(api.connect(receive_buffer=SMALL_BUFFER))
            connection.sendall(encode_request(LARGE_RESPONSE) * 100)  # 40 MB of responses
        time.sleep(0.5)

        assert runs_within(lambda: api.response_time("GET /schedule?limit=1 HTTP/1.1"), 2)
        assert peak_megabytes(api) < 200


def is_closed(connection: socket.socket) -> Callable[[], bool]:
    connection.setblocking(False)

    def is_closed_now() -> bool:
        try:
            while connection.recv(1 << 10):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    return is_closed_now


def send_fails(connection: socket.socket) -> bool:
    """Return True if the connection is closed, as seen by a client that does not read."""
    try:
        connection.send(b"x")
    except OSError:
        return True
    return False


def test_connections_are_closed_after_the_client_timeout(env: dict[str, str], db: Connection, tmp_path: Path) -> None:
    schedule_many(db, 1000)
    with running_api(env, tmp_path, "tests.support.short_timeout_api") as api, ExitStack() as stack:
        idle, used, header, body, unread = (
            stack.enter_context(api.connect(receive_buffer=SMALL_BUFFER)) for _ in range(5)
        )
        used.sendall(encode_request("GET /healthz HTTP/1.1"))
        header.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        body.sendall(encode_request("PUT /schedule HTTP/1.1", content_length=MAX_BULK_BODY_SIZE))
        unread.sendall(encode_request(LARGE_RESPONSE))
        started = time.monotonic()

        with trickling([header, body]):
            for connection in (idle, used, header, body):
                wait_for(is_closed(connection))
        wait_for(lambda: send_fails(unread))
        seconds = time.monotonic() - started

        assert IMPATIENT_LIMITS.client_timeout - 0.5 < seconds < IMPATIENT_LIMITS.client_timeout + 5


def test_connections_above_the_limit_close_the_slowest_ones(bare_api: Api) -> None:
    with ExitStack() as stack:
        first = stack.enter_context(bare_api.connect())
        for _ in range(DEFAULT_LIMITS.max_connections + 20):
            stack.enter_context(bare_api.connect()).sendall(b"GET")

        assert runs_within(lambda: bare_api.response_time("GET /healthz HTTP/1.1"), 2)
        wait_for(is_closed(first))
    wait_for(lambda: "slow connections closed in favour of others: " in bare_api.service.output)


def test_rejected_connection_is_not_readable_after_it_was_closed() -> None:
    """The event loop still calls its readable() in the iteration in which it was closed."""
    server_socket, client_socket = socket.socketpair()
    server = Server(Flask(__name__), {}, DEFAULT_LIMITS, map={}, dispatcher=ThreadedTaskDispatcher(), host=HOST, port=0)
    connection = ClientConnection(server, server_socket, ("", 0), server.adj, map={})
    connection.lingering = True
    connection.handle_close()

    is_readable = connection.readable()

    assert not is_readable
    server.close()
    client_socket.close()


def peak_megabytes(api: Api) -> int:
    """Return the peak memory of the process, in MB; 0 where the system does not report it."""
    return (peak_memory(api.service.popen.pid) or 0) // 1000


def temporary_files(api: Api) -> list[str]:
    files = Path(f"/proc/{api.service.popen.pid}/fd")
    if not files.exists():
        return []
    return [name for file in files.iterdir() if "(deleted)" in (name := str(file.readlink()))]


def test_memory_of_many_large_bodies_is_bounded(tmp_path: Path) -> None:
    """All of them lack their last byte; the slowest clients get 503."""
    with running_api(UNREACHABLE, tmp_path) as api, ExitStack() as stack:
        before = peak_megabytes(api)
        connections = [stack.enter_context(api.connect()) for _ in range(100)]
        for connection in connections:
            connection.sendall(
                encode_request(
                    "PUT /schedule HTTP/1.1", b" " * (MAX_BULK_BODY_SIZE - 1), content_length=MAX_BULK_BODY_SIZE
                )
            )

        assert runs_within(lambda: api.response_time("GET /healthz HTTP/1.1"), 2)
        assert peak_megabytes(api) - before < 3 * DEFAULT_LIMITS.max_buffered_bytes // 1_000_000
        assert temporary_files(api) == []
        rejected = parse_response(receive_all(connections[0]))
        assert (rejected.status, rejected.headers["Retry-After"]) == (503, "1")
        assert rejected.json["type"] == "urn:cyclic-metrics:problem:busy"
        assert statuses(exchange(connections[-1], b" ")) == [400]  # blanks are no JSON


def test_memory_of_a_body_full_of_errors_is_bounded(tmp_path: Path) -> None:
    """A description of each of its 600,000 errors took 800 MB."""
    item = json.dumps({str(number): 1 for number in range(100)}, separators=(",", ":"))
    body = f"[{','.join([item] * (MAX_BULK_BODY_SIZE // len(item) - 10))}]".encode()
    with running_api(UNREACHABLE, tmp_path) as api:
        before = peak_megabytes(api)

        response = api.request("PUT /schedule HTTP/1.1", body)

        assert (response.status, len(response.json["errors"])) == (422, 100)
        assert peak_megabytes(api) - before < 200


def test_request_in_progress_is_finished_at_sigterm(
    env: dict[str, str], db: Connection, database_url: str, tmp_path: Path
) -> None:
    blocker = psycopg2.connect(database_url)
    execute(blocker, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
    with running_api(env, tmp_path) as api, api.connect() as connection:
        connection.sendall(encode_request("GET /schedule HTTP/1.1"))
        wait_for(lambda: is_waiting_for_lock(db))
        api.service.popen.terminate()
        blocker.close()

        response = parse_response(receive_all(connection))
        started = time.monotonic()
        exit_code = api.service.popen.wait(10)

    assert (response.status, exit_code) == (200, 0)
    assert time.monotonic() - started < 3


def is_waiting_for_lock(db: Connection) -> bool:
    with db.cursor() as cur:
        cur.execute("SELECT FROM pg_locks WHERE NOT granted")
        return cur.rowcount > 0
