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
from tests.support.processes import Service, running_service

STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([0-9]{3}) ")
SOCKET_TIMEOUT = 10.0  # seconds


class RawResponse(NamedTuple):
    """A response, parsed from the bytes of a connection."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Api(NamedTuple):
    """A running API process."""

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

    def exchange(self, data: bytes) -> bytes:
        """Send the data and the end of the stream; return what is received until the server closes, too."""
        with self.connect() as connection:
            return exchange(connection, data)

    def request(self, head: str, body: bytes = b"") -> RawResponse:
        """Send one request, of its first line and headers, on a connection of its own."""
        return parse_response(self.exchange(encode_request(head, body)))

    def response_time(self, head: str, status: int = 200) -> float:
        """Return the duration of a request in seconds."""
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
    with running_service([module], {"HOST": HOST, "PORT": str(port), **env}, folder / "api.log") as process:
        api = Api(port, process)
        wait_for(lambda: api.is_alive)
        yield api


def encode_request(head: str, body: bytes = b"", *, content_length: int | None = None) -> bytes:
    """Return a request; content_length is that of its header, if it is to differ from the body's."""
    lines = [*head.split("\n"), f"Host: {HOST}"]
    if body or content_length:
        length = len(body) if content_length is None else content_length
        lines += ["Content-Type: application/json", f"Content-Length: {length}"]
    return "\r\n".join([*lines, "", ""]).encode() + body


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send the data and the end of the stream; return what is received until the server closes, too."""
    try:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # closed by the server, which may have sent the reason
    return receive_all(connection)


def receive_all(connection: socket.socket) -> bytes:
    """Return what is received until the server closes the connection."""
    received = bytearray()
    try:
        while data := connection.recv(1 << 16):
            received += data
    except ConnectionResetError:
        pass
    return bytes(received)


def statuses(responses: bytes) -> list[int]:
    return [int(status) for status in STATUS_LINE.findall(responses)]


def parse_response(response: bytes) -> RawResponse:
    """Parse bytes that must be exactly one response."""
    assert len(statuses(response)) == 1, response
    head, _, body = response.partition(b"\r\n\r\n")
    status_line, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines)
    return RawResponse(int(status_line.split()[1]), headers, body)
