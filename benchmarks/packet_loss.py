"""A network that loses packets, including those that open connections."""

import ctypes
import socket
import struct

from tests.support.proxy import Proxy

ATTACH_FILTER, DETACH_FILTER = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER of Linux; Python has no names for them
DROP_ALL = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # one instruction: return 0 bytes
FILTER = struct.pack("HL", 1, ctypes.addressof(DROP_ALL))


class LossyProxy(Proxy):
    """A proxy that, while silent, has the kernel drop all packets of its clients, whose own timeouts then apply.

    What the proxy held back arrives as soon as it resumes.
    """

    def silence(self) -> None:
        """Lose all packets in both directions; connections stay open at the server's end."""
        super().silence()
        for end in self._client_sockets():
            end.setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, FILTER)

    def resume(self) -> None:
        """Stop losing packets."""
        for end in self._client_sockets():
            end.setsockopt(socket.SOL_SOCKET, DETACH_FILTER, 0)
        super().resume()

    def _client_sockets(self) -> list[socket.socket]:
        with self._changed:
            return [self._listener, *(link.client for link in self._links)]
