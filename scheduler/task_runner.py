"""The leader's tasks, run so that the failure of one leaves the others alone."""

import logging
import random
import time
from collections.abc import Callable
from dataclasses import dataclass

import psycopg2
from psycopg2.extensions import connection

from core.postgres import first_line
from scheduler.queue import LOST as BROKER_LOST

log = logging.getLogger(__name__)

FIRST_PAUSE = 0.1  # seconds after a failure; each further one is twice as long
LONGEST_PAUSE = 1.5  # seconds; with the time limit of connecting, a retry within 5 s after an outage


@dataclass
class Failure:
    """A task that failed the last time, and every time since then."""

    reason: str
    since: float  # by time.monotonic()
    count: int
    retry_at: float  # by time.monotonic()
    everywhere: bool  # PostgreSQL refuses the statement, and would refuse it to any other scheduler too


class TaskRunner:
    """Runs tasks by name, each with a backoff of its own after a failure."""

    def __init__(self, database: connection) -> None:
        """Run tasks that use this session of PostgreSQL."""
        self._database = database
        self._failures: dict[str, Failure] = {}

    def run(self, name: str, task: Callable[[], bool]) -> bool:
        """Return what the task returns; False where it fails, or backs off after a failure.

        Raises only what ends the session of PostgreSQL, and what is no Exception.
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
        """The reason of the failure that has lasted longest; None where no task fails."""
        failures = sorted(self._failures.values(), key=lambda failure: failure.since)
        return failures[0].reason if failures else None

    @property
    def retry_in(self) -> float | None:
        """Seconds until the first retry; None where no task fails."""
        retries = [failure.retry_at for failure in self._failures.values()]
        return max(0.0, min(retries) - time.monotonic()) if retries else None

    @property
    def failing_for(self) -> float:
        """Seconds since when a task has failed for a reason that may be this process's own."""
        since = [failure.since for failure in self._failures.values() if not failure.everywhere]
        return time.monotonic() - min(since) if since else 0.0

    def _failure(self, name: str, previous: Failure | None, error: Exception) -> Failure:
        reason = describe(error)
        now = time.monotonic()
        if previous is None:
            unexpected = not isinstance(error, (psycopg2.Error, *BROKER_LOST))
            log.warning("%s failed: %s", name, reason, exc_info=error if unexpected else None)
        count = previous.count + 1 if previous else 1
        everywhere = isinstance(error, psycopg2.Error) and error.pgcode is not None
        return Failure(reason, previous.since if previous else now, count, now + pause(count), everywhere)


def describe(error: Exception) -> str:
    """Return the server that an error is of, and its first line."""
    if isinstance(error, psycopg2.Error):
        return f"PostgreSQL: {first_line(error)}"
    if isinstance(error, BROKER_LOST):
        return f"Redis: {first_line(error)}"
    return f"{type(error).__name__}: {first_line(error)}"


def pause(failures: int) -> float:
    """Return how many seconds to wait after so many failures in sequence: capped, with jitter."""
    longest: float = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures, 10))
    return longest * random.uniform(0.8, 1.0)  # noqa: S311  # not cryptography
