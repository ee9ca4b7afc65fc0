"""Health check of the worker on this host: python -m worker.health."""

import socket
import sys

import redis
from kombu.exceptions import OperationalError

from worker.app import app

# A worker responds within milliseconds, however busy its pool is, but one that is starting misses the first ping.
PINGS = 4
PING_TIMEOUT = 1.0  # seconds for each response, and for each reply of Redis
app.conf.broker_transport_options |= {
    "socket_timeout": PING_TIMEOUT,
    "socket_connect_timeout": PING_TIMEOUT,
}


def find_problem(host: str) -> str | None:
    """Return the problem of the worker on a host, which is pinged through Redis; None if it is healthy."""
    name = f"celery@{host}"
    try:
        responded = any(app.control.ping(destination=[name], timeout=PING_TIMEOUT) for _ in range(PINGS))
    except (OperationalError, redis.RedisError) as error:
        return f"Redis: {error}"
    return None if responded else f"{name} does not respond"


def main() -> None:
    """Exit with 0 if the worker is healthy, with the problem on stderr and 1 otherwise."""
    sys.exit(find_problem(socket.gethostname()))


if __name__ == "__main__":
    main()
