"""Retries with backoff while PostgreSQL or Redis is unavailable in the middle of a batch."""

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
from worker.time_limit import TimeLimitExceeded

log = logging.getLogger(__name__)

T = TypeVar("T")

# Any error of a backend: a lock, a full disk, or rights that an upgrade is about to grant may be gone at the next try.
BACKEND_ERRORS = (psycopg2.Error, redis.RedisError, BrokerError, OSError)

MIN_BACKOFF = 0.2  # seconds; doubled with each retry
MAX_BACKOFF = 5.0  # seconds

# psycopg2 has no error code for a row that does not fit into the memory of this process.
OUT_OF_MEMORY = ("out of memory for query result", "cannot allocate memory for input buffer")


class BackendUnavailable(Exception):
    """A backend was unavailable for half of the batch's time limit; the message names it and its error."""


def retry_until_available(step: Callable[[], T]) -> T:
    """Return the result of the step, retried while a backend is unavailable.

    Raises BackendUnavailable, and MemoryError for a row that is too large for this process.
    """
    unavailable_since: float | None = None
    backoff = MIN_BACKOFF
    while True:
        try:
            return step()
        except BACKEND_ERRORS as error:
            _raise_memory_error(error)
            reason = f"{_backend_name(error)}: {first_line(error)}"
        try:
            if unavailable_since is None:
                unavailable_since = time.monotonic()
                log.warning("batch delayed: %s", reason)
            if time.monotonic() - unavailable_since > settings.time_limit / 2:
                raise BackendUnavailable(reason)
            time.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311  # not cryptography
        except TimeLimitExceeded:
            raise BackendUnavailable(reason) from None
        backoff = min(MAX_BACKOFF, 2 * backoff)


def _raise_memory_error(error: Exception) -> None:
    if isinstance(error, psycopg2.Error) and error.pgcode is None and str(error).startswith(OUT_OF_MEMORY):
        raise MemoryError(str(error)) from error


def _backend_name(error: BaseException) -> str:
    return "PostgreSQL" if isinstance(error, psycopg2.Error) else "Redis"
