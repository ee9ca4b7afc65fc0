"""The server under clients that are slow, greedy, or wrong: what it refuses, and that others get their answers."""

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

from api.http.connection import Channel
from api.http.limits import (
    MAX_BODY_SIZE,
    MAX_BUFFERED_BYTES,
    MAX_BULK_BODY_SIZE,
    MAX_CONNECTIONS,
    MAX_HEADER_SIZE,
    THREADS,
)
from api.http.server import Server
from devstack.ports import HOST
from tests.support.databases import MODEL, Connection, Databases, one, run, schedule_many, wait_for
from tests.support.processes import peak_memory, runs_within
from tests.support.raw_http import (
    Api,
    encode_request,
    exchange,
    parse_response,
    parse_statuses,
    read_until_close,
    running_api,
)
from tests.support.short_timeout_api import CLIENT_TIMEOUT

NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}
PAGE = "GET /schedule?limit=1000 HTTP/1.1"  # some 400 kB
SMALL_BUFFER = 4096  # bytes


@pytest.fixture(scope="module")
def bare_api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API without servers behind it, which is enough for refusals and for /healthz."""
    with running_api(NOWHERE, tmp_path_factory.mktemp("bare")) as api:
        yield api


@pytest.fixture
def env(databases: Databases, database_url: str, redis_url: str) -> dict[str, str]:
    return {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}


@contextmanager
def dripping(connections: Sequence[socket.socket]) -> Iterator[None]:
    """Send a byte now and then on each."""
    done = threading.Event()

    def drip() -> None:
        while not done.wait(0.2):
            for connection in connections:
                with suppress(OSError):
                    connection.send(b"x")

    thread = threading.Thread(target=drip)
    thread.start()
    yield
    done.set()
    thread.join()


def test_bad_connections_do_not_stop_an_honest_one(env: dict[str, str], db: Connection, tmp_path: Path) -> None:
    schedule_many(db, 1000)
    with running_api(env, tmp_path) as api, ExitStack() as opened:
        headers = [opened.enter_context(api.connect()) for _ in range(200)]
        bodies = [opened.enter_context(api.connect()) for _ in range(100)]
        unread = [opened.enter_context(api.connect(receive_buffer=SMALL_BUFFER)) for _ in range(50)]
        for connection in headers:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        for connection in bodies:
            connection.sendall(encode_request("PUT /schedule HTTP/1.1", length=MAX_BULK_BODY_SIZE))
        for connection in unread:
            connection.sendall(encode_request(PAGE) * 20)
        for connection in unread:
            connection.recv(1)

        with dripping(headers + bodies):
            seconds = [api.response_time("GET /schedule?limit=1 HTTP/1.1") for _ in range(100)]

        assert median(seconds) < 0.2
        assert max(seconds) < 2


@pytest.mark.parametrize(
    ("request_", "status", "kind"),
    [
        (encode_request("GET /healthz HTTP/1.1\nX-Long: " + "x" * MAX_HEADER_SIZE), 431, "header-too-large"),
        (encode_request("GET /" + "x" * MAX_HEADER_SIZE + " HTTP/1.1"), 431, "header-too-large"),
        (encode_request("POST /schedule HTTP/1.1", b"1" * (MAX_BODY_SIZE + 1)), 413, "too-large"),
        (encode_request("POST /schedule HTTP/1.1", length=10**12), 413, "too-large"),
        (encode_request("POST /schedule HTTP/1.1\nExpect: 100-continue", length=10**12), 413, "too-large"),
        (encode_request("PUT /schedule HTTP/1.1", length=MAX_BULK_BODY_SIZE + 1), 413, "too-large"),
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
def test_what_the_server_refuses_is_a_problem(bare_api: Api, request_: bytes, status: int, kind: str) -> None:
    """And what comes behind it is not taken for a request."""
    answer = parse_response(bare_api.exchange(request_ + encode_request("GET /healthz HTTP/1.1")))

    assert (answer.status, answer.headers["Content-Type"]) == (status, "application/problem+json")
    assert (answer.json["type"], answer.json["status"]) == (f"urn:cyclic-metrics:problem:{kind}", status)
    assert answer.headers["Connection"] == "close"
    assert "Server" not in answer.headers


@pytest.mark.parametrize(
    "request_",
    [
        encode_request("GET /healthz HTTP/1.1\nExpect: 100-continue"),
        encode_request("GET /healthz HTTP/1.0\nConnection: keep-alive"),
        encode_request("GET http://127.0.0.1/healthz HTTP/1.1"),
    ],
)
def test_what_is_unusual_is_answered(bare_api: Api, request_: bytes) -> None:
    assert parse_response(bare_api.exchange(request_)).status == 200


def test_a_long_address_is_read(bare_api: Api) -> None:
    """As far as to Redis, which is not there."""
    address = "/results?" + "&".join(f"model_id={MODEL}" for _ in range(100))

    assert (
        parse_response(bare_api.exchange(encode_request(f"GET {address} HTTP/1.1")))
        .json["type"]
        .endswith(":unavailable")
    )


def test_a_body_that_waits_to_be_asked_for_is_asked_for(bare_api: Api) -> None:
    with bare_api.connect() as connection:
        connection.sendall(encode_request("POST /healthz HTTP/1.1\nExpect: 100-continue", length=2))
        asked = connection.recv(1 << 16)
        answer = exchange(connection, b"{}")

    assert asked == b"HTTP/1.1 100 Continue\r\n\r\n"
    assert parse_statuses(answer) == [405]


def test_a_client_that_is_refused_may_go_on_sending_and_then_read_why(bare_api: Api) -> None:
    """As most libraries do; a socket closed with unread bytes would take the answer back."""
    client = http.client.HTTPConnection(HOST, bare_api.port, timeout=10)

    client.request("POST", "/schedule", b"1" * (8 * MAX_BULK_BODY_SIZE))

    assert client.getresponse().status == 413
    client.close()


def test_a_pipeline_is_answered_in_its_order(bare_api: Api) -> None:
    healthz, nothing = encode_request("GET /healthz HTTP/1.1"), encode_request("GET /nothing HTTP/1.1")

    answers = bare_api.exchange((healthz + b"\r\n\r\n" + nothing) * 50)

    assert parse_statuses(answers) == [200, 404] * 50


def test_an_answer_without_a_body_leaves_the_connection_open(
    env: dict[str, str], db: Connection, tmp_path: Path
) -> None:
    schedule_many(db, 1)
    model_id = one(db, "SELECT model_id FROM metrics_executions")
    with running_api(env, tmp_path) as api:
        known = encode_request(f"GET /results/{MODEL}/history HTTP/1.1\nIf-None-Match: *")
        deletion = encode_request(f"DELETE /schedule/{model_id} HTTP/1.1")

        assert parse_statuses(api.exchange(known + deletion + encode_request("GET /healthz HTTP/1.1"))) == [
            304,
            204,
            200,
        ]


def test_answers_that_nobody_takes_hold_no_thread(env: dict[str, str], db: Connection, tmp_path: Path) -> None:
    schedule_many(db, 1000)
    with running_api(env, tmp_path) as api, ExitStack() as opened:
        for _ in range(2 * THREADS):
            connection = opened.enter_context(api.connect(receive_buffer=SMALL_BUFFER))
            connection.sendall(encode_request(PAGE) * 100)  # 40 MB of answers
        time.sleep(0.5)

        assert runs_within(lambda: api.response_time("GET /schedule?limit=1 HTTP/1.1"), 2)
        assert peak(api) < 200


def is_over(connection: socket.socket) -> Callable[[], bool]:
    connection.setblocking(False)

    def look() -> bool:
        try:
            while connection.recv(1 << 10):
                pass
        except BlockingIOError:
            return False
        except OSError:
            pass
        return True

    return look


def is_refused_a_byte(connection: socket.socket) -> bool:
    """How who does not read gets to know that it is over."""
    try:
        connection.send(b"x")
    except OSError:
        return True
    return False


def test_who_keeps_the_server_waiting_is_cut_off(env: dict[str, str], db: Connection, tmp_path: Path) -> None:
    schedule_many(db, 1000)
    with running_api(env, tmp_path, "tests.support.short_timeout_api") as api, ExitStack() as opened:
        idle, used, header, body, unread = (
            opened.enter_context(api.connect(receive_buffer=SMALL_BUFFER)) for _ in range(5)
        )
        used.sendall(encode_request("GET /healthz HTTP/1.1"))
        header.sendall(b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        body.sendall(encode_request("PUT /schedule HTTP/1.1", length=MAX_BULK_BODY_SIZE))
        unread.sendall(encode_request(PAGE))
        started = time.monotonic()

        with dripping([header, body]):
            for connection in (idle, used, header, body):
                wait_for(is_over(connection))
        wait_for(lambda: is_refused_a_byte(unread))
        took = time.monotonic() - started

        assert CLIENT_TIMEOUT - 0.5 < took < CLIENT_TIMEOUT + 5


def test_connections_above_the_limit_end_the_slowest_ones(bare_api: Api) -> None:
    with ExitStack() as opened:
        first = opened.enter_context(bare_api.connect())
        for _ in range(MAX_CONNECTIONS + 20):
            opened.enter_context(bare_api.connect()).sendall(b"GET")

        assert runs_within(lambda: bare_api.response_time("GET /healthz HTTP/1.1"), 2)
        wait_for(is_over(first))
    wait_for(lambda: "slow connections gave way to others" in bare_api.service.output)


def test_a_refused_connection_that_gave_way_does_not_end_the_server() -> None:
    """The main loop still asks it whether it wants to read, in the round in which it was closed."""
    ours, theirs = socket.socketpair()
    server = Server(Flask(__name__), {}, map={}, dispatcher=ThreadedTaskDispatcher(), host=HOST, port=0)
    channel = Channel(server, ours, ("", 0), server.adj, map={})
    channel.lingering = True
    channel.handle_close()

    wanted = channel.readable()

    assert not wanted
    server.close()
    theirs.close()


def peak(api: Api) -> int:
    """Return the most memory that the process had, in MB; 0 where the system does not say."""
    return (peak_memory(api.service.popen.pid) or 0) // 1000


def temporary_files(api: Api) -> list[str]:
    files = Path(f"/proc/{api.service.popen.pid}/fd")
    if not files.exists():
        return []
    return [name for file in files.iterdir() if "(deleted)" in (name := str(file.readlink()))]


def test_many_large_bodies_at_once_take_a_bounded_memory(tmp_path: Path) -> None:
    """All but their last bytes; who has been at it for the longest time has to try again."""
    with running_api(NOWHERE, tmp_path) as api, ExitStack() as opened:
        before = peak(api)
        connections = [opened.enter_context(api.connect()) for _ in range(100)]
        for connection in connections:
            connection.sendall(
                encode_request("PUT /schedule HTTP/1.1", b" " * (MAX_BULK_BODY_SIZE - 1), length=MAX_BULK_BODY_SIZE)
            )

        assert runs_within(lambda: api.response_time("GET /healthz HTTP/1.1"), 2)
        assert peak(api) - before < 3 * MAX_BUFFERED_BYTES // 1_000_000
        assert temporary_files(api) == []
        refused = parse_response(read_until_close(connections[0]))
        assert (refused.status, refused.headers["Retry-After"]) == (503, "1")
        assert refused.json["type"] == "urn:cyclic-metrics:problem:busy"
        assert parse_statuses(exchange(connections[-1], b" ")) == [400]  # blanks are no JSON


def test_a_body_in_which_all_is_wrong_takes_a_bounded_memory(tmp_path: Path) -> None:
    """To describe each of its 600,000 faults took 800 MB."""
    item = json.dumps({str(number): 1 for number in range(100)}, separators=(",", ":"))
    body = f"[{','.join([item] * (MAX_BULK_BODY_SIZE // len(item) - 10))}]".encode()
    with running_api(NOWHERE, tmp_path) as api:
        before = peak(api)

        answer = api.request("PUT /schedule HTTP/1.1", body)

        assert (answer.status, len(answer.json["errors"])) == (422, 100)
        assert peak(api) - before < 200


def test_a_request_at_hand_is_finished_at_sigterm(
    env: dict[str, str], db: Connection, database_url: str, tmp_path: Path
) -> None:
    other = psycopg2.connect(database_url)
    run(other, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
    with running_api(env, tmp_path) as api, api.connect() as connection:
        connection.sendall(encode_request("GET /schedule HTTP/1.1"))
        wait_for(lambda: waiting_for_a_lock(db))
        api.service.popen.terminate()
        other.close()

        answer = parse_response(read_until_close(connection))
        started = time.monotonic()
        code = api.service.popen.wait(10)

    assert (answer.status, code) == (200, 0)
    assert time.monotonic() - started < 3


def waiting_for_a_lock(db: Connection) -> bool:
    with db.cursor() as cursor:
        cursor.execute("SELECT FROM pg_locks WHERE NOT granted")
        return cursor.rowcount > 0
