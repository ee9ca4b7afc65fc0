"""Waiting for PostgreSQL and Redis in the middle of a batch, which is not done until they answer."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg2
import redis
from celery.exceptions import OperationalError as BrokerError

from core.postgres import first_line
from worker.app import settings
from worker.time_limit import TookTooLong

log = logging.getLogger(__name__)

T = TypeVar("T")

# Whatever the servers say: what they refuse today (a lock, a full disk, rights that an upgrade is about to grant)
# they take tomorrow.
AWAY = (psycopg2.Error, redis.RedisError, BrokerError, OSError)

FIRST_PAUSE = 0.2  # seconds; each further one is twice as long
LONGEST_PAUSE = 5.0  # seconds

# The client library has no code for a row that does not fit into this process.
TOO_LARGE = ("out of memory for query result", "cannot allocate memory for input buffer")


class StillAway(Exception):
    """A server has been away for half of the time that a batch may take; the message says which, and why."""


def patiently(step: Callable[[], T]) -> T:
    """Return what the step returns, trying again and again while a server is away.

    Raises StillAway, and MemoryError where a row is too large for this process.
    """
    away_since: float | None = None
    pause = FIRST_PAUSE
    while True:
        try:
            return step()
        except AWAY as error:
            _look_at_size(error)
            reason = f"{_server(error)}: {first_line(error)}"
        try:
            if away_since is None:
                away_since = time.monotonic()
                log.warning("a batch waits: %s", reason)
            if time.monotonic() - away_since > settings.time_limit / 2:
                raise StillAway(reason)
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # not cryptography
        except TookTooLong:
            raise StillAway(reason) from None
        pause = min(LONGEST_PAUSE, 2 * pause)


def _look_at_size(error: Exception) -> None:
    """Raise MemoryError for a row that is too large."""
    if isinstance(error, psycopg2.Error) and error.pgcode is None and str(error).startswith(TOO_LARGE):
        raise MemoryError(str(error)) from error


def _server(error: BaseException) -> str:
    return "PostgreSQL" if isinstance(error, psycopg2.Error) else "Redis"
