"""A client's connection: one request after the other, and a limit to how long it may keep others waiting."""

import json
import logging
import socket
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any

from waitress.channel import HTTPChannel
from waitress.task import ErrorTask, WSGITask

from api.http.limits import CLIENT_TIMEOUT, LINGER_TIMEOUT, MAX_BODY_SIZE
from api.http.request_parser import Request, problem
from api.problems import CONTENT_TYPE, Problem

log = logging.getLogger(__name__)


class Answer(WSGITask):  # type: ignore[misc]  # waitress has no types
    """An answer of the application."""

    def set_close_on_finish(self) -> None:
        """Go on after 204 and 304, which waitress takes for answers of unknown length."""
        asked = self.request.headers.get("CONNECTION", "").lower()
        if self.has_body or self.request.version != "1.1" or asked == "close":
            super().set_close_on_finish()


class Refusal(ErrorTask):  # type: ignore[misc]  # the same
    """An answer that the application has no part in."""

    def execute(self) -> None:
        """Say why; the client may go on sending, to nobody."""
        refused: Problem = problem(self.request.error)
        body = json.dumps(refused.as_dict()).encode()
        self.channel.lingering = True
        self.status = f"{refused.status} {HTTPStatus(refused.status).phrase}"
        self.response_headers += [("Content-Type", CONTENT_TYPE), ("Connection", "close")]
        self.response_headers += [*self.channel.server.headers.items(), *refused.headers.items()]
        self.content_length = len(body)
        self.write(b"" if getattr(self.request, "command", None) == "HEAD" else body)
        # waitress would close a socket that has unread bytes, upon which TCP takes the answer back.
        self.close_on_finish = False


class Channel(HTTPChannel):  # type: ignore[misc]  # the same
    """waitress's channel, which reads a request only when the answer to the one before it is with the client.

    So a client that sends many at once holds one answer in memory, and no thread: waitress would read them all, and
    let the thread wait, for ever, until the client takes what there is. It also forgets a client's age at every byte.
    """

    task_class = Answer
    error_task_class = Refusal
    request: Request | None  # that is being received
    requests: list[Request]  # that are to be answered; never more than one
    connected: bool
    total_outbufs_len: int

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        """Begin to wait for a request."""
        self.lingering = False  # it was refused
        self._unread = b""  # came with the request before
        self._shut = False
        self._since = time.monotonic()
        super().__init__(*args, **kwargs)

    def parser_class(self, adj: object) -> Request:
        """Return a new request; waitress calls this as it would call a class."""
        return Request(adj, self._keep)

    def _keep(self, data: bytes) -> None:
        self._unread = data

    def readable(self) -> bool:
        """Whether to wait for the client; the main loop asks each time that it comes round."""
        if not self.connected:
            return False  # the server has closed it in this round, which goes on with those that were there
        if self._unread or self.lingering:
            self._go_on()
        # By now a thread may have answered what was just received; the rest still comes before what the socket has.
        return not self._unread and bool(super().readable())

    def writable(self) -> bool:
        """Whether to wait until the client takes more.

        Not while a thread answers: it sends by itself, and the main loop would come round again and again until it may
        too, and keep from the thread the interpreter that it needs to go on (at 50 clients, a tenth of the requests).
        """
        return not self.requests and bool(super().writable())

    def _go_on(self) -> None:
        """Take what came with the request before, or end a connection that was refused, once the answer is sent."""
        while self._unread and super().readable():
            data, self._unread = self._unread, b""
            try:
                self.received(data)
            except Exception:
                log.exception("cannot read a request")  # as in handle_read(), but from here it would end the main loop
                self.will_close = True
        if self.lingering and not self._shut and super().readable():
            self._shut = True
            with suppress(OSError):  # it has gone
                self.socket.shutdown(socket.SHUT_WR)

    def received(self, data: bytes) -> bool:
        """Take what the client has sent."""
        if self.lingering:
            return False
        taken = bool(super().received(data))
        if self.request is not None and self.request.large:
            self.server.crowded = True
        return taken

    def service(self) -> None:
        """Answer a request, in a thread."""
        self._since = time.monotonic()
        super().service()
        self._since = time.monotonic()
        if self.total_outbufs_len > MAX_BODY_SIZE:
            self.server.crowded = True
            self.server.pull_trigger()

    @property
    def waiting_since(self) -> float:
        """When the client began to keep us waiting; infinity while it waits for us."""
        if self.requests:
            return float("inf")
        return self._since if self.request is None else self.request.began

    @property
    def deadline(self) -> float:
        """When the client must have done what we wait for."""
        return self.waiting_since + (LINGER_TIMEOUT if self.lingering else CLIENT_TIMEOUT)

    @property
    def held(self) -> int:
        """Bytes of memory that it takes, above what any connection may."""
        bodies = sum(request.large for request in (*self.requests, self.request) if request is not None)
        return bodies + (self.total_outbufs_len if self.total_outbufs_len > MAX_BODY_SIZE else 0)

    def refuse(self, reason: Problem) -> None:
        """Answer the request that is being received, and free what there is of it."""
        with self.requests_lock:
            request, self.request = self.request, None
            assert request is not None
            request.discard(reason)
            self.requests.append(request)
        self.server.add_task(self)
