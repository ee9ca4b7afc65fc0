"""The HTTP server: waitress, which closes slow or greedy connections in favour of others."""

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

from api.http.connection import ClientConnection
from api.http.limits import MAX_BULK_BODY_SIZE, MAX_HEADER_SIZE, Limits
from api.problems import Overloaded
from api.settings import Settings

log = logging.getLogger(__name__)

POLL_INTERVAL = 1  # seconds between checks of the deadlines
FLUSH_TIMEOUT = 1.0  # seconds for clients to read their responses when the process ends
# Bytes of a body or response above which waitress writes it to a file; max_buffered_bytes keeps all of them below.
OVERFLOW_SIZE = 64 * 1024 * 1024


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Listens at one address."""

    channel_class = ClientConnection
    memory_check_due = False  # set by a connection that buffers a large body or response

    def __init__(self, application: Flask, headers: Mapping[str, str], limits: Limits, **kwargs: Any) -> None:
        """Listen; the headers are those of every response that does not come from the application."""
        super().__init__(application, **kwargs)
        self.headers = headers
        self.limits = limits
        self._evicted = 0  # since the last maintenance

    def set_socket_options(self, conn: socket.socket) -> None:
        """Bound what the kernel buffers for clients that do not read."""
        super().set_socket_options(conn)
        conn.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, self.limits.send_buffer_size)

    def readable(self) -> bool:
        """Return True if the server accepts connections; the event loop calls this in each iteration."""
        if len(self._map) >= self.limits.max_connections:
            self._evict_slowest()
        if self.memory_check_due:
            self.memory_check_due = False
            self._evict_for_memory()
        return bool(super().readable())

    def maintenance(self, now: float) -> None:  # noqa: ARG002  # time.time(); durations are measured by monotonic()
        """Close the connections whose deadline has passed."""
        monotonic_now = time.monotonic()
        for connection in list(self.active_channels.values()):
            if connection.deadline < monotonic_now:
                connection.handle_close()  # will_close would wait until the client has read the response
        if self._evicted:
            log.warning("slow connections closed in favour of others: %s", self._evicted)
            self._evicted = 0

    def _connections(self) -> list[ClientConnection]:
        return [channel for channel in self._map.values() if isinstance(channel, ClientConnection)]

    def _evict_slowest(self) -> None:
        """Close the connection whose client the server has waited for the longest."""
        slowest = min(self._connections(), key=lambda connection: connection.waiting_since, default=None)
        if slowest is not None and not slowest.requests:
            self._evicted += 1
            slowest.handle_close()

    def _evict_for_memory(self) -> None:
        """Free buffers of the slowest clients until the rest is within the limit."""
        buffering = [connection for connection in self._connections() if connection.buffered_bytes]
        buffered = sum(connection.buffered_bytes for connection in buffering)
        for connection in sorted(buffering, key=lambda connection: connection.waiting_since):
            if buffered <= self.limits.max_buffered_bytes or connection.requests:
                return
            buffered -= connection.buffered_bytes
            self._evicted += 1
            if connection.request is not None:
                connection.reject(Overloaded(Overloaded.example, headers={"Retry-After": "1"}))
            else:
                connection.handle_close()


def serve(application: Flask, settings: Settings, headers: Mapping[str, str], limits: Limits) -> None:
    """Serve until SystemExit or Ctrl-C, and finish the requests in progress."""
    logging.getLogger("waitress.queue").setLevel(logging.ERROR)  # it warns of each request that waits for a thread
    adjustments = Adjustments(
        host=settings.host,
        port=settings.port,
        ident=None,
        connection_limit=limits.max_connections,
        cleanup_interval=POLL_INTERVAL,
        asyncore_loop_timeout=POLL_INTERVAL,
        asyncore_use_poll=True,  # select() ends at 1,024 files
        max_request_header_size=MAX_HEADER_SIZE,
        max_request_body_size=MAX_BULK_BODY_SIZE + 1,
        inbuf_overflow=OVERFLOW_SIZE,
        outbuf_overflow=OVERFLOW_SIZE,
        outbuf_high_watermark=OVERFLOW_SIZE,  # above it a thread would wait for the client
        log_socket_errors=False,
    )
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(limits.threads)
    sockets: dict[int, Any] = {}
    for address in adjustments.listen:
        server = Server(
            application, headers, limits, map=sockets, dispatcher=dispatcher, adj=adjustments, sockinfo=address
        )
        server.print_listen("Serving on http://{}:{}")
    try:
        wasyncore.loop(POLL_INTERVAL, use_poll=True, map=sockets)
    except (SystemExit, KeyboardInterrupt):
        dispatcher.shutdown()
        _flush(sockets)


def _flush(sockets: Mapping[int, Any]) -> None:
    """Send the rest of the responses."""
    deadline = time.monotonic() + FLUSH_TIMEOUT
    while time.monotonic() < deadline and any(
        getattr(channel, "total_outbufs_len", 0) for channel in list(sockets.values())
    ):
        wasyncore.poll2(FLUSH_TIMEOUT / 10, sockets)
