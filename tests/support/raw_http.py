"""HTTP client that sends bytes as no client library would."""

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
from tests.support.processes import Service, running_service

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
SOCKET_TIMEOUT = 10.0  # seconds


class RawResponse(NamedTuple):
    """The only response on a connection."""

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

    def connect(self, *, receive_buffer: int | None = None) -> socket.socket:
        """Return a connection; receive_buffer is the number of unread bytes that the kernel accepts."""
        connection = socket.socket()
        connection.settimeout(SOCKET_TIMEOUT)
        if receive_buffer is not None:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        try:
            connection.connect((HOST, self.port))
        except OSError:
            connection.close()
            raise
        return connection

    def exchange(self, request: bytes) -> bytes:
        """Send bytes on a new connection, and return all that is received."""
        with self.connect() as connection:
            return exchange(connection, request)

    def request(self, head: str, body: bytes = b"") -> RawResponse:
        """Send one request, with this request line and headers, on a new connection."""
        return parse_response(self.exchange(encode_request(head, body)))

    def response_time(self, head: str, status: int = 200) -> float:
        """Return the seconds until the response, which must have the status."""
        started = time.monotonic()
        response = self.request(head)
        assert response.status == status, response
        return time.monotonic() - started

    @property
    def is_alive(self) -> bool:
        try:
            return self.request("GET /healthz HTTP/1.1").status == 200
        except OSError:
            return False


@contextmanager
def running_api(env: dict[str, str], folder: Path, module: str = "api.main") -> Iterator[Api]:
    port = free_port()
    with running_service([module], {"HOST": HOST, "PORT": str(port), **env}, folder / "api.log") as service:
        api = Api(port, service)
        wait_for(lambda: api.is_alive)
        yield api


def encode_request(head: str, body: bytes = b"", *, length: int | None = None) -> bytes:
    """Return a request; length is its Content-Length if that is not the length of the body."""
    lines = [*head.split("\n"), f"Host: {HOST}"]
    if body or length:
        lines += ["Content-Type: application/json", f"Content-Length: {len(body) if length is None else length}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def exchange(connection: socket.socket, request: bytes) -> bytes:
    """Send bytes, shut down the sending side, and return all that is received."""
    try:
        connection.sendall(request)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the server has closed the connection, perhaps after a response
    return read_until_close(connection)


def read_until_close(connection: socket.socket) -> bytes:
    received = bytearray()
    try:
        while data := connection.recv(1 << 16):
            received += data
    except ConnectionResetError:
        pass
    return bytes(received)


def parse_statuses(received: bytes) -> list[int]:
    """Return the status of each response."""
    return [int(status) for status in STATUS_LINE.findall(received)]


def parse_response(received: bytes) -> RawResponse:
    """Return the response, which must be the only one."""
    assert len(parse_statuses(received)) == 1, received
    head, _, body = received.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return RawResponse(int(status_line.split()[1]), headers, body)
