"""Waiting for PostgreSQL and Redis in the middle of a batch, which is not done until they answer."""

import logging
import random
import time
from collections.abc import Callable
from typing import TypeVar

import psycopg2
import redis
from celery.exceptions import OperationalError as BrokerError

from worker.app import settings
from worker.limit import TookTooLong

log = logging.getLogger(__name__)

T = TypeVar("T")

# Whatever the servers say: what they refuse today (a lock, a full disk, rights that an upgrade is about to grant)
# they take tomorrow.
AWAY = (psycopg2.Error, redis.RedisError, BrokerError, OSError)

FIRST_PAUSE = 0.2  # seconds; each further one is twice as long
LONGEST_PAUSE = 5.0  # seconds


class StillAway(Exception):
    """A server has not answered for half of the time that a batch may take; the message says which."""


def patiently(step: Callable[[], T]) -> T:
    """Return what the step returns, trying again and again while a server is away.

    Raises StillAway, and MemoryError where a row is too large for this process.
    """
    began = time.monotonic()
    attempt = 0
    while True:
        try:
            return step()
        except AWAY as error:
            if _is_memory(error):
                raise MemoryError(str(error)) from error
            reason = f"{_server(error)}: {_first_line(error)}"
        try:
            if not attempt:
                log.warning("a batch waits: %s", reason)
            if time.monotonic() - began > settings.time_limit / 2:
                raise StillAway(reason)
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2**attempt)
            time.sleep(pause * random.uniform(0.5, 1.0))  # noqa: S311  # not cryptography
        except TookTooLong:
            raise StillAway(reason) from None
        attempt += 1


def _is_memory(error: BaseException) -> bool:
    """Whether PostgreSQL or its client library, which has no code for it, is out of memory for a row."""
    if not isinstance(error, psycopg2.Error):
        return False
    return (error.pgcode or "").startswith("54") or "memory" in str(error)


def _server(error: BaseException) -> str:
    return "PostgreSQL" if isinstance(error, psycopg2.Error) else "Redis"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
