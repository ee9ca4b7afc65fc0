"""A client connection: one request at a time, with a deadline for the client."""

import json
import logging
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from api.http.limits import MAX_BODY_SIZE
from api.http.request_parser import Request, to_problem
from api.problems import CONTENT_TYPE, Problem

log = logging.getLogger(__name__)


class ResponseTask(WSGITask):  # type: ignore[misc]  # waitress has no types
    """Sends a response of the application."""

    def set_close_on_finish(self) -> None:
        """Keep the connection open after 204 and 304, which for waitress are responses of unknown length."""
        connection = self.request.headers.get("CONNECTION", "").lower()
        if self.has_body or self.request.version != "1.1" or connection == "close":
            super().set_close_on_finish()


class ErrorResponseTask(ErrorTask):  # type: ignore[misc]  # the same
    """Rejects a request before it reaches the application."""

    def execute(self) -> None:
        """Send the problem; whatever the client still sends is discarded."""
        problem = to_problem(self.request.error)
        body = json.dumps(problem.as_dict()).encode()
        self.channel.lingering = True
        self.status = f"{problem.status} {HTTPStatus(problem.status).phrase}"
        self.response_headers += [("Content-Type", CONTENT_TYPE), ("Connection", "close")]
        self.response_headers += [*self.channel.server.headers.items(), *problem.headers.items()]
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", None) == "HEAD" else body)
        # waitress would close a socket that has unread bytes, upon which TCP discards the response.
        self.close_on_finish = False


class ClientConnection(HTTPChannel):  # type: ignore[misc]  # the same
    """waitress's channel, which reads a request only after the client has read the response to the previous one.

    So a client that pipelines requests occupies the memory of one response, and no thread: waitress would read them
    all, and block the thread, without a limit, until the client reads. It also restarts a client's timeout at every
    byte.
    """

    task_class = ResponseTask
    error_task_class = ErrorResponseTask
    request: Request | None  # being received
    requests: list[Request]  # being processed; never more than one
    connected: bool
    total_outbufs_len: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.lingering = False  # a request was rejected
        self._pipelined = b""  # received after the end of the current request
        self._write_closed = False
        self._idle_since = time.monotonic()
        super().__init__(*args, **kwargs)

    def parser_class(self, adj: object) -> Request:
        """Return a new request; waitress calls this like a class."""
        return Request(adj, self._keep_pipelined)

    def _keep_pipelined(self, data: bytes) -> None:
        self._pipelined = data

    def readable(self) -> bool:
        """Return True if the client may send; the event loop calls this in each iteration."""
        if not self.connected:
            return False  # closed by the server in this iteration, which still has it in its list
        if self._pipelined or self.lingering:
            self._receive_pipelined()
            self._close_if_rejected()
        # By now a thread may have processed what was just received; the rest of it precedes what the socket has.
        return not self._pipelined and bool(super().readable())

    def writable(self) -> bool:
        """Return True if the event loop is to wait until the client can receive.

        Not while a thread processes a request: the thread sends by itself, and the loop would spin until the socket is
        writable, and compete with the thread for the interpreter (at 50 clients, a tenth of the requests).
        """
        return not self.requests and bool(super().writable())

    def _receive_pipelined(self) -> None:
        while self._pipelined and super().readable():
            data, self._pipelined = self._pipelined, b""
            try:
                self.received(data)
            except Exception:
                log.exception("request parser failed")  # as in handle_read(), but here it would end the event loop
                self.will_close = True

    def _close_if_rejected(self) -> None:
        """Close the sending side once the error response is sent."""
        if self.lingering and not self._write_closed and super().readable():
            self._write_closed = True
            with suppress(OSError):  # the client has disconnected
                self.socket.shutdown(socket.SHUT_WR)

    def received(self, data: bytes) -> bool:
        """Parse data from the client; discard it after a rejected request."""
        if self.lingering:
            return False
        is_received = bool(super().received(data))
        if self.request is not None and self.request.large_body_bytes:
            self.server.memory_check_due = True
        return is_received

    def service(self) -> None:
        """Process a request, in a thread."""
        self._idle_since = time.monotonic()
        super().service()
        self._idle_since = time.monotonic()
        if self.total_outbufs_len > MAX_BODY_SIZE:
            self.server.memory_check_due = True
            self.server.pull_trigger()

    @property
    def waiting_since(self) -> float:
        """Return when the server began to wait for the client; infinity while the client waits for the server."""
        if self.requests:
            return float("inf")
        return self._idle_since if self.request is None else self.request.started_at

    @property
    def deadline(self) -> float:
        """Return when the server stops waiting for the client."""
        limits = self.server.limits
        return self.waiting_since + float(limits.linger_timeout if self.lingering else limits.client_timeout)

    @property
    def buffered_bytes(self) -> int:
        """Bytes of large request bodies and of an unread large response."""
        bodies = sum(request.large_body_bytes for request in (*self.requests, self.request) if request is not None)
        return bodies + (self.total_outbufs_len if self.total_outbufs_len > MAX_BODY_SIZE else 0)

    def reject(self, problem: Problem) -> None:
        """Respond with the problem to the request that is being received, and free its body."""
        with self.requests_lock:
            request, self.request = self.request, None
            assert request is not None
            request.reject(problem)
            self.requests.append(request)
        self.server.add_task(self)
