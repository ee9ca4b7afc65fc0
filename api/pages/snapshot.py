"""The whole system at a glance, looked at once for all pages that are rendered at the same time."""

import threading
import time
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple, TypeVar

import redis
from psycopg2.extensions import cursor

from api.backends import Backends
from api.status import diagnosis, snapshot
from api.status.snapshot import QueueState, SystemSnapshot

T = TypeVar("T")

FRESH = 0.25  # seconds


class Whole(NamedTuple):
    """What PostgreSQL and Redis say."""

    system: SystemSnapshot
    queue: QueueState | None  # None where Redis does not answer
    workers: int | None  # None where that cannot be told
    problems: list[str]
    looked_at: float  # by time.monotonic()

    @property
    def now(self) -> datetime:
        """The system's time at this moment."""
        return self.system.now + timedelta(seconds=time.monotonic() - self.looked_at)


class Looking:
    """Looks when there was no look for a moment."""

    def __init__(self) -> None:
        """Begin without one."""
        self._lock = threading.Lock()
        self._latest: Whole | None = None

    def latest(self, backends: Backends, statements: cursor) -> Whole:
        """Return how the whole system is, or was a moment ago."""
        asked_at = time.monotonic()  # a look may take seconds, and who waits for it need not look again
        with self._lock:
            if self._latest is None or asked_at > self._latest.looked_at + FRESH:
                self._latest = _look(backends, statements)
            return self._latest


def _look(backends: Backends, statements: cursor) -> Whole:
    looked_at = time.monotonic()
    found = snapshot.read_snapshot(statements)
    queue = _unless_away(lambda: snapshot.read_queue(backends.redis))
    workers = _unless_away(lambda: snapshot.count_workers(backends.redis)) if queue else None
    problems = diagnosis.problems(found, queue, backends.settings.queue_age_limit)
    return Whole(found, queue, workers, problems, looked_at)


def _unless_away(ask: Callable[[], T]) -> T | None:
    try:
        return ask()
    except redis.RedisError:
        return None
