"""Whatever bytes are sent, the answer is one, soon, and not that something went wrong here."""

import random
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.support.databases import Connection, Databases, run
from tests.support.raw_http import exchange, parse_statuses, running_api
from tests.support.raw_requests import raw_request

REQUESTS = 1_000  # with --fuzz, as many times more
SOON = 5.0  # seconds
ABORT = struct.pack("ii", 1, 0)  # close() with a reset


def test_no_request_breaks_the_api_or_hangs(
    databases: Databases,
    database_url: str,
    db: Connection,
    redis_url: str,
    tmp_path: Path,
    pytestconfig: pytest.Config,
) -> None:
    times = pytestconfig.getoption("fuzz")
    seed = random.randrange(2**32) if times else 0
    choices = random.Random(seed)
    env = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}
    run(db, "UPDATE leader SET name = 'here:1', since = now(), looked_at = now() + interval '1 day'")  # /status is well
    with running_api(env, tmp_path) as api:
        for number in range(REQUESTS * max(1, times)):
            request = raw_request(choices)
            context = f"request {number} of seed {seed}: {request[:2000]!r}"
            with api.connect() as connection:
                started = time.monotonic()
                answers = _converse(choices, connection, request)
            assert time.monotonic() - started < SOON, context
            assert max(parse_statuses(answers), default=0) < 500, (context, answers[-2000:])
        assert api.is_alive
        output = api.service.output
    for trouble in ("Traceback", "unexpected", "Exception", "ERROR"):
        assert trouble not in output, output[max(0, output.find(trouble) - 500) :][:3000]


def _converse(choices: random.Random, connection: socket.socket, request: bytes) -> bytes:
    """Send it as clients do: at once, in pieces, or going away in the middle."""
    manner = choices.random()
    if manner < 0.05:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, ABORT)
        connection.sendall(request)
        return b""
    if manner < 0.15:
        place = choices.randrange(len(request) + 1)
        connection.sendall(request[:place])
        return exchange(connection, request[place:])
    return exchange(connection, request)
