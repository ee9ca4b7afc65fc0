"""TCP proxy that simulates network faults: packet loss, resets, refused connections, latency."""

import socket
import struct
from contextlib import suppress
from threading import Condition, Thread
from typing import Self
from urllib.parse import urlsplit

from devstack.ports import HOST

CHUNK_SIZE = 65536  # bytes
CONNECT_TIMEOUT = 5  # seconds
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing discards unsent data


class Proxy:
    """Forwards connections to a server; url is the server's URL with the address of the proxy.

    delay (seconds) is the latency of each chunk of data.
    """

    def __init__(self, target_url: str) -> None:
        parts = urlsplit(target_url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._target = (parts.hostname, parts.port)
        self._listener = socket.create_server((HOST, 0), backlog=128)
        user, at, _ = parts.netloc.rpartition("@")
        self.url = parts._replace(netloc=f"{user}{at}{HOST}:{self._listener.getsockname()[1]}").geturl()
        self.delay = 0.0
        self._silent = self._refusing = self._ended = False
        self._links: set[_Link] = set()
        self._changed = Condition()  # guards the four above
        self._acceptor = Thread(target=self._accept, name="proxy")

    def __enter__(self) -> Self:
        self._acceptor.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._change(ended=True)
        with suppress(OSError):  # wakes accept()
            socket.create_connection(self._listener.getsockname(), timeout=1).close()
        self._acceptor.join()
        self._listener.close()
        links = set(self._links)
        self.cut()
        for link in links:
            link.thread.join()

    def silence(self) -> None:
        """Hold all data back, in both directions, as if each packet was lost; connections stay open."""
        self._change(silent=True)

    def refuse(self) -> None:
        """Close all connections, and each new one immediately."""
        self._change(refusing=True)
        self.cut()

    def resume(self) -> None:
        """Forward again, beginning with the data held back."""
        self._change()

    def cut(self) -> None:
        """Close all connections; new ones are forwarded."""
        with self._changed:
            for link in self._links:
                link.cut()
            self._changed.notify_all()

    def _change(self, *, silent: bool = False, refusing: bool = False, ended: bool = False) -> None:
        with self._changed:
            self._silent, self._refusing, self._ended = silent, refusing, ended
            self._changed.notify_all()

    def _accept(self) -> None:
        while not self._ended:
            client, _ = self._listener.accept()
            with self._changed:
                self._changed.wait_for(lambda: not self._silent)
            server = self._connect()
            with self._changed:
                if server is None or self._refusing or self._ended:
                    _close(client, server, reset=True)
                else:
                    link = _Link(self, client, server)
                    self._links.add(link)
                    link.thread.start()

    def _connect(self) -> socket.socket | None:
        with suppress(OSError):
            server = socket.create_connection(self._target, CONNECT_TIMEOUT)
            server.settimeout(None)
            return server
        return None

    def wait_to_forward(self, link: "_Link") -> bool:
        """Wait until the next chunk of a link may be forwarded; False if the link was cut."""
        with self._changed:
            if self.delay:
                self._changed.wait_for(lambda: link.is_cut, self.delay)
            self._changed.wait_for(lambda: link.is_cut or not self._silent)
            return not link.is_cut

    def remove(self, link: "_Link") -> None:
        """Remove a link, and close its connections."""
        with self._changed:
            self._links.discard(link)
            _close(link.client, link.server, reset=link.is_cut)


class _Link:
    """A client's connection and the one to the server, each read by its own thread."""

    def __init__(self, proxy: Proxy, client: socket.socket, server: socket.socket) -> None:
        self.client, self.server = client, server
        self.is_cut = False
        self._proxy = proxy
        self.thread = Thread(target=self._forward, name="proxy")

    def cut(self) -> None:
        self.is_cut = True
        for end in (self.client, self.server):
            with suppress(OSError):  # the peer has closed it already
                end.shutdown(socket.SHUT_RDWR)  # wakes the threads; close() would not

    def _forward(self) -> None:
        responses = Thread(target=self._pump, args=(self.server, self.client), name="proxy")
        responses.start()
        self._pump(self.client, self.server)
        responses.join()
        self._proxy.remove(self)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            sink.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            while (chunk := source.recv(CHUNK_SIZE)) and self._proxy.wait_to_forward(self):
                sink.sendall(chunk)
        if self._proxy.wait_to_forward(self):  # end of stream is held back like data
            with suppress(OSError):
                sink.shutdown(socket.SHUT_WR)


def _close(*ends: socket.socket | None, reset: bool) -> None:
    for end in ends:
        if end is not None:
            if reset:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            end.close()
