"""A network that loses packets, down to those of connecting: what a proxy holds back comes the moment it resumes."""

import ctypes
import socket
import struct

from tests.support.proxy import Proxy

ATTACH, DETACH = 26, 27  # SO_ATTACH_FILTER, SO_DETACH_FILTER of Linux; Python has no names for them
TAKE_NOTHING = ctypes.create_string_buffer(struct.pack("HBBI", 0x06, 0, 0, 0))  # one instruction: return 0 bytes
FILTER = struct.pack("HL", 1, ctypes.addressof(TAKE_NOTHING))


class LossyProxy(Proxy):
    """Where it is silent, the kernel drops whatever its clients send, and they are left to their own timers."""

    def silence(self) -> None:
        """Lose all packets, in both directions; connections stay open at the server's end."""
        super().silence()
        for end in self._clients_ends():
            end.setsockopt(socket.SOL_SOCKET, ATTACH, FILTER)

    def resume(self) -> None:
        """Lose none any more."""
        for end in self._clients_ends():
            end.setsockopt(socket.SOL_SOCKET, DETACH, 0)
        super().resume()

    def _clients_ends(self) -> list[socket.socket]:
        with self._changed:
            return [self._listener, *(link.client for link in self._links)]
