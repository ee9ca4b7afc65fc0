"""Snapshot of the whole system, shared by all pages that are rendered at the same time."""

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

TTL = 0.25  # seconds


class SystemView(NamedTuple):
    """State of the system as the pages show it."""

    system: SystemSnapshot
    queue: QueueState | None  # None if Redis is unavailable
    workers: int | None  # None if unknown
    problems: list[str]
    read_at: float  # by time.monotonic()

    @property
    def now(self) -> datetime:
        """The current time by the system's clock."""
        return self.system.now + timedelta(seconds=time.monotonic() - self.read_at)


class SnapshotCache:
    """The latest snapshot, read again after its TTL."""

    def __init__(self, ttl: float = TTL) -> None:
        self._ttl = ttl
        self._lock = threading.Lock()
        self._latest: SystemView | None = None

    def get(self, backends: Backends, cur: cursor) -> SystemView:
        """Return a snapshot that is at most the TTL older than this call."""
        requested_at = time.monotonic()  # reading may take seconds, and a thread that waits for it need not read again
        with self._lock:
            if self._latest is None or requested_at > self._latest.read_at + self._ttl:
                self._latest = _read(backends, cur)
            return self._latest


def _read(backends: Backends, cur: cursor) -> SystemView:
    read_at = time.monotonic()
    system = snapshot.read_snapshot(cur)
    queue = _unless_unavailable(lambda: snapshot.read_queue(backends.redis))
    workers = _unless_unavailable(lambda: snapshot.count_workers(backends.redis)) if queue else None
    problems = diagnosis.problems(system, queue, backends.settings.queue_age_limit)
    return SystemView(system, queue, workers, problems, read_at)


def _unless_unavailable(read: Callable[[], T]) -> T | None:
    try:
        return read()
    except redis.RedisError:
        return None
