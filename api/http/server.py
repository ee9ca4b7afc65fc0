"""The API's HTTP server: waitress, in which slow or greedy clients give way to others."""

import logging
import socket
import time
from collections.abc import Mapping
from typing import Any

from flask import Flask
from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.server import TcpWSGIServer
from waitress.task import ThreadedTaskDispatcher

from api.http.connection import Channel
from api.http.limits import (
    MAX_BUFFERED_BYTES,
    MAX_BULK_BODY_SIZE,
    MAX_CONNECTIONS,
    MAX_HEADER_SIZE,
    SEND_BUFFER_SIZE,
    THREADS,
)
from api.problems import Overloaded
from api.settings import Settings

log = logging.getLogger(__name__)

STEP = 1  # seconds between looks at who is overdue
LAST_WORDS = 1.0  # seconds for clients to take their answers when the process ends
IN_MEMORY = (
    64 * 1024 * 1024
)  # bytes, of a body or an answer; MAX_BUFFERED_BYTES lets none come near it, and so none goes to a file


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Listens at one address."""

    channel_class = Channel
    crowded = False  # somebody holds much memory, so that all of it is to be counted

    def __init__(self, application: Flask, headers: Mapping[str, str], **kwargs: Any) -> None:
        """Listen; headers are those of every answer that the application has no part in."""
        super().__init__(application, **kwargs)
        self.headers = headers
        self._let_go = 0

    def set_socket_options(self, conn: socket.socket) -> None:
        """Bound what the kernel keeps for clients that don't read."""
        super().set_socket_options(conn)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_SIZE)

    def readable(self) -> bool:
        """Whether to accept; the main loop asks each time that it comes round."""
        if len(self._map) >= MAX_CONNECTIONS:
            self._admit()
        if self.crowded:
            self.crowded = False
            self._make_room()
        return bool(super().readable())

    def maintenance(self, now: float) -> None:  # noqa: ARG002  # time.time(); ours are measured
        """Close the connections whose clients have kept us waiting for too long."""
        moment = time.monotonic()
        for channel in list(self.active_channels.values()):
            if channel.deadline < moment:
                channel.handle_close()  # will_close would wait until the client takes what there is
        if self._let_go:
            log.warning("%s slow connections gave way to others", self._let_go)
            self._let_go = 0

    def _channels(self) -> list[Channel]:
        return [channel for channel in self._map.values() if isinstance(channel, Channel)]

    def _admit(self) -> None:
        """Close the connection that has kept us waiting for the longest time, for a new one."""
        slowest = min(self._channels(), key=lambda channel: channel.waiting_since, default=None)
        if slowest is not None and not slowest.requests:
            self._let_go += 1
            slowest.handle_close()

    def _make_room(self) -> None:
        """Take back memory from those that have kept us waiting for the longest time."""
        holders = [channel for channel in self._channels() if channel.held]
        held = sum(channel.held for channel in holders)
        for channel in sorted(holders, key=lambda channel: channel.waiting_since):
            if held <= MAX_BUFFERED_BYTES or channel.requests:
                return
            held -= channel.held
            self._let_go += 1
            if channel.request is not None:
                channel.refuse(
                    Overloaded("others send or fetch much at this moment; try again", headers={"Retry-After": "1"})
                )
            else:
                channel.handle_close()


def serve(application: Flask, settings: Settings, headers: Mapping[str, str]) -> None:
    """Serve until SystemExit or Ctrl-C, and finish the requests at hand."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of each request that waits for a thread
    adjustments = Adjustments(
        host=settings.host,
        port=settings.port,
        ident=None,
        connection_limit=MAX_CONNECTIONS,
        cleanup_interval=STEP,
        asyncore_loop_timeout=STEP,
        asyncore_use_poll=True,  # select() ends at 1,024 files
        max_request_header_size=MAX_HEADER_SIZE,
        max_request_body_size=MAX_BULK_BODY_SIZE + 1,
        inbuf_overflow=IN_MEMORY,
        outbuf_overflow=IN_MEMORY,
        outbuf_high_watermark=IN_MEMORY,  # above it a thread would wait for the client
        log_socket_errors=False,
    )
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(THREADS)
    sockets: dict[int, Any] = {}
    for address in adjustments.listen:
        server = Server(application, headers, map=sockets, dispatcher=dispatcher, adj=adjustments, sockinfo=address)
        server.print_listen("Serving on http://{}:{}")
    try:
        wasyncore.loop(STEP, use_poll=True, map=sockets)
    except (SystemExit, KeyboardInterrupt):
        dispatcher.shutdown()
        _flush(sockets)


def _flush(sockets: Mapping[int, Any]) -> None:
    """Send what is left of the answers."""
    until = time.monotonic() + LAST_WORDS
    while time.monotonic() < until and any(getattr(each, "total_outbufs_len", 0) for each in list(sockets.values())):
        wasyncore.poll2(LAST_WORDS / 10, sockets)
