"""TCP ports of this machine: a free one, and whether a given one is free."""

import random
import socket

HOST = "127.0.0.1"
# Below the range that the kernel takes for outgoing connections, so that none of them
# sits on a server's port while that server is being started again.
FIRST, LAST = 20_000, 32_000


def free_port() -> int:
    """Return a port that nothing listens on."""
    while True:
        port = random.randint(FIRST, LAST)  # noqa: S311  # not a secret
        if why_not(port) is None:
            return port


def why_not(port: int) -> str | None:
    """Say why a server cannot listen on the port; None if it can."""
    try:
        # Asked as a browser would ask, IPv6 included: a server there would get our users' requests.
        with socket.create_connection(("localhost", port), timeout=1):
            return "another program answers there"
    except OSError:
        pass
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as error:
            return (error.strerror or str(error)).lower()
    return None
