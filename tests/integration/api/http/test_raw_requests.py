"""Random malformed requests: each gets a response in time, and none causes an internal error."""

import random
import socket
import struct
import time
from pathlib import Path

import pytest

from tests.support.databases import Connection, execute
from tests.support.raw_http import exchange, running_api, statuses
from tests.support.raw_requests import raw_request

REQUESTS = 1_000  # with --fuzz, as many times more
MAX_DURATION = 5.0  # seconds
RESET_ON_CLOSE = struct.pack("ii", 1, 0)


def test_malformed_requests_cause_no_internal_error_and_no_hang(
    env: dict[str, str], db: Connection, tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    factor = pytestconfig.getoption("fuzz")
    seed = random.randrange(2**32) if factor else 0
    choices = random.Random(seed)
    execute(
        db, "UPDATE leader SET name = 'here:1', since = now(), looked_at = now() + interval '1 day'"
    )  # /status is 200
    with running_api(env, tmp_path) as api:
        for number in range(REQUESTS * max(1, factor)):
            request = raw_request(choices)
            context = f"request {number} of seed {seed}: {request[:2000]!r}"
            with api.connect() as connection:
                started = time.monotonic()
                responses = _send(choices, connection, request)
            assert time.monotonic() - started < MAX_DURATION, context
            assert max(statuses(responses), default=0) < 500, (context, responses[-2000:])
        assert api.is_alive
        output = api.service.output
    for word in ("Traceback", "unexpected", "Exception", "ERROR"):
        assert word not in output, output[max(0, output.find(word) - 500) :][:3000]


def _send(choices: random.Random, connection: socket.socket, request: bytes) -> bytes:
    """Send a request as clients do: at once, in parts, or with a disconnect; return the responses."""
    kind = choices.random()
    if kind < 0.05:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
        connection.sendall(request)
        return b""
    if kind < 0.15:
        split = choices.randrange(len(request) + 1)
        connection.sendall(request[:split])
        return exchange(connection, request[split:])
    return exchange(connection, request)
