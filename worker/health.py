"""Does the worker of this host answer? python -m worker.health."""

import socket
import sys

import redis
from kombu.exceptions import OperationalError

from worker.app import app

# A worker answers within milliseconds, whatever its pool is doing, but one that is just starting never hears
# the first question.
QUESTIONS = 4
PATIENCE = 1.0  # seconds for each answer, and for each word of Redis
app.conf.broker_transport_options |= {
    "socket_timeout": PATIENCE,
    "socket_connect_timeout": PATIENCE,
}


def problem(host: str) -> str | None:
    """Return what is wrong with the worker of a host, asked by way of Redis; None if it is well."""
    name = f"celery@{host}"
    try:
        answered = any(app.control.ping(destination=[name], timeout=PATIENCE) for _ in range(QUESTIONS))
    except (OperationalError, redis.RedisError) as error:
        return f"Redis: {error}"
    return None if answered else f"{name} does not answer"


def main() -> None:
    """Exit with 0 if it answers; otherwise say why not, and exit with 1."""
    sys.exit(problem(socket.gethostname()))


if __name__ == "__main__":
    main()
