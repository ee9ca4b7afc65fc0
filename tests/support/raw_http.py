"""HTTP byte by byte, as no client library would send it."""

import json
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from devstack.ports import HOST, free_port
from tests.support.databases import wait_for
from tests.support.processes import Service, service

FIRST_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
HANGS = 10.0  # seconds


class Answer(NamedTuple):
    """What a server sent before it closed the connection, if it was one answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api(NamedTuple):
    """A running API."""

    port: int
    service: Service

    def connect(self, *, buffer: int | None = None) -> socket.socket:
        """Return a connection; buffer is how many bytes the kernel takes that nobody reads."""
        connection = socket.socket()
        connection.settimeout(HANGS)
        if buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
        try:
            connection.connect((HOST, self.port))
        except OSError:
            connection.close()
            raise
        return connection

    def say(self, request: bytes) -> bytes:
        """Send it, then nothing more; return what comes until the other side closes, too."""
        with self.connect() as connection:
            return talk(connection, request)

    def ask(self, request: str, body: bytes = b"") -> Answer:
        """Send one request, of its first line and headers, on a connection of its own."""
        return one_answer(self.say(message(request, body)))

    def seconds_to_answer(self, request: str, status: int = 200) -> float:
        started = time.monotonic()
        answer = self.ask(request)
        assert answer.status == status, answer
        return time.monotonic() - started

    @property
    def lives(self) -> bool:
        try:
            return self.ask("GET /healthz HTTP/1.1").status == 200
        except OSError:
            return False


@contextmanager
def running_api(env: dict[str, str], folder: Path, module: str = "api.main") -> Iterator[Api]:
    port = free_port()
    with service([module], {"HOST": HOST, "PORT": str(port), **env}, folder / "api.log") as process:
        api = Api(port, process)
        wait_for(lambda: api.lives)
        yield api


def message(request: str, body: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a request that claims to have a body of so many bytes."""
    lines = [*request.split("\n"), f"Host: {HOST}"]
    if body or length:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def talk(connection: socket.socket, request: bytes) -> bytes:
    try:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the other side has closed; it may have said why
    return rest(connection)


def rest(connection: socket.socket) -> bytes:
    """Return what comes until the other side closes."""
    received = bytearray()
    try:
        while data := connection.recv(1 << 16):
            received += data
    except ConnectionResetError:
        pass
    return bytes(received)


def statuses(answers: bytes) -> list[int]:
    return [int(status) for status in FIRST_LINE.findall(answers)]


def one_answer(answers: bytes) -> Answer:
    assert len(statuses(answers)) == 1, answers
    head, _, body = answers.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return Answer(int(first.split()[1]), headers, body)
