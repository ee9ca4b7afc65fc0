"""TCP ports of this machine: free ones, and the reason why one is unavailable."""

import random
import socket

HOST = "127.0.0.1"
# Below the ephemeral ports of the kernel: no outgoing connection occupies a server's port during its restart.
MIN_PORT, MAX_PORT = 20_000, 32_000


def free_port() -> int:
    """Return a port without a listener."""
    while True:
        port = random.randint(MIN_PORT, MAX_PORT)  # noqa: S311  # not a secret
        if unavailable_reason(port) is None:
            return port


def unavailable_reason(port: int) -> str | None:
    """Return the reason why a server cannot listen on the port; None if it can."""
    try:
        # As a browser connects, IPv6 included: a server there would get the requests of our users.
        with socket.create_connection(("localhost", port), timeout=1):
            return "another program listens there"
    except OSError:
        pass
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None
