"""Runs tasks of the leader so that the failure of one does not affect the others."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection

from core.postgres import first_line
from scheduler.queue import REDIS_ERRORS

log = logging.getLogger(__name__)

MIN_BACKOFF = 0.1  # seconds after a failure; doubled with each further one
MAX_BACKOFF = 1.5  # seconds; with the time limit of connecting, a retry within 5 s after an outage


@dataclass
class Failure:
    """Consecutive failures of a task."""

    reason: str
    since: float  # by time.monotonic()
    count: int
    retry_at: float  # by time.monotonic()
    is_refused: bool  # PostgreSQL refuses the statement, and would refuse it to any other scheduler too


class TaskRunner:
    """Runs tasks by name, with a backoff per task."""

    def __init__(self, database: connection) -> None:
        self._database = database
        self._failures: dict[str, Failure] = {}

    def run(self, name: str, task: Callable[[], bool]) -> bool:
        """Return the result of the task; False if it fails, or its backoff has not passed.

        Raises only errors that end the session of PostgreSQL, and those that are no Exception.
        """
        failure = self._failures.get(name)
        if failure and time.monotonic() < failure.retry_at:
            return False
        try:
            done = task()
        except Exception as error:
            if self._database.closed:
                raise
            self._failures[name] = self._failure(name, failure, error)
            return False
        if self._failures.pop(name, None):
            log.warning("%s: recovered", name)
        return done

    @property
    def error(self) -> str | None:
        """The reason of the longest failure; None if no task fails."""
        failures = sorted(self._failures.values(), key=lambda failure: failure.since)
        return failures[0].reason if failures else None

    @property
    def retry_in(self) -> float | None:
        """Seconds until the first retry; None if no task fails."""
        retries = [failure.retry_at for failure in self._failures.values()]
        return max(0.0, min(retries) - time.monotonic()) if retries else None

    @property
    def failing_for(self) -> float:
        """Seconds for which a task has failed for a reason that may be specific to this process."""
        since = [failure.since for failure in self._failures.values() if not failure.is_refused]
        return time.monotonic() - min(since) if since else 0.0

    def _failure(self, name: str, previous: Failure | None, error: Exception) -> Failure:
        reason = describe(error)
        now = time.monotonic()
        if previous is None:
            unexpected = not isinstance(error, (psycopg2.Error, *REDIS_ERRORS))
            log.warning("%s failed: %s", name, reason, exc_info=error if unexpected else None)
        count = previous.count + 1 if previous else 1
        is_refused = isinstance(error, psycopg2.Error) and error.pgcode is not None
        return Failure(reason, previous.since if previous else now, count, now + backoff(count), is_refused)


def describe(error: Exception) -> str:
    """Return the server that an error is about, and the first line of the error."""
    if isinstance(error, psycopg2.Error):
        return f"PostgreSQL: {first_line(error)}"
    if isinstance(error, REDIS_ERRORS):
        return f"Redis: {first_line(error)}"
    return f"{type(error).__name__}: {first_line(error)}"


def backoff(failures: int) -> float:
    """Return the seconds to wait after consecutive failures: exponential, capped, with jitter."""
    seconds: float = min(MAX_BACKOFF, MIN_BACKOFF * 2 ** min(failures, 10))
    return seconds * random.uniform(0.8, 1.0)  # noqa: S311  # not cryptography
