"""Cache of the statistics, counted in the background at most once a minute while pages are open."""

import logging
import threading
import time
from contextlib import closing

import psycopg2
import redis

from api.backends import REDIS_TIMEOUT
from api.pages.statistics import Statistics, count_schedules
from api.settings import Settings
from core import postgres
from core.redis import create_client
from core.results.repository import ResultStore

log = logging.getLogger(__name__)

REFRESH_INTERVAL = 60.0  # seconds
MAX_AGE = 180.0  # seconds; older ones, after a time without open pages or with failures, are not shown
STATEMENT_TIMEOUT = 20  # seconds; no client waits for the statements


class StatisticsCache:
    """The latest statistics, counted by a thread and on connections of its own."""

    def __init__(
        self, settings: Settings, *, refresh_interval: float = REFRESH_INTERVAL, max_age: float = MAX_AGE
    ) -> None:
        self._settings = settings
        self._refresh_interval = refresh_interval
        self._max_age = max_age
        self._lock = threading.Lock()
        self._available = threading.Event()
        self._started_at = self._counted_at = float("-inf")  # by time.monotonic()
        self._latest: Statistics | None = None

    def get(self, timeout: float) -> Statistics | None:
        """Return the latest statistics; None if there are none within the timeout. Starts a refresh if one is due."""
        now = time.monotonic()
        with self._lock:
            is_due = now - self._started_at >= self._refresh_interval
            if is_due:
                self._started_at = now
            if now - self._counted_at > self._max_age:
                self._latest = None
                self._available.clear()
        if is_due:
            threading.Thread(target=self._refresh, name="statistics", daemon=True).start()
        if self._latest is None:
            self._available.wait(timeout)
        return self._latest

    def _refresh(self) -> None:
        try:
            statistics = self._count()
        except (psycopg2.Error, redis.RedisError) as error:
            log.warning("cannot count the schedules: %s", " ".join(str(error).split()))
            return
        with self._lock:
            self._latest, self._counted_at = statistics, time.monotonic()
            self._available.set()

    def _count(self) -> Statistics:
        conn = postgres.connect(
            self._settings.database_url, "cyclic-metrics api statistics", statement_timeout=STATEMENT_TIMEOUT
        )
        client = create_client(self._settings.redis_url, timeout=REDIS_TIMEOUT, single_connection=True)
        with closing(conn), closing(client), conn.cursor() as cur:
            return count_schedules(cur, ResultStore(client))
