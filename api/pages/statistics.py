"""How many schedules there are of each kind, and how many models are due in each minute of the coming hour.

To count a million takes PostgreSQL half a second. So it is done at most once a minute, for all who look, and by a
thread of its own.
"""

import logging
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

import psycopg2
import redis
from psycopg2.extensions import cursor

from api.backends import REDIS_TIMEOUT
from api.contract.fields import UUID
from api.settings import Settings
from core import postgres
from core.cron.forecast import minutes_with_fires
from core.cron.occurrences import InvalidCron, InvalidTimeZone
from core.cron.wall_clock import MINUTE, floor_minute
from core.redis import create_client
from core.results.repository import ResultStore

log = logging.getLogger(__name__)

COUNT_EVERY = 60.0  # seconds
TOO_OLD = 180.0  # seconds after which a count is shown to nobody: nobody looked for a while, or it cannot be counted
STATEMENT_TIMEOUT = 20  # seconds; nobody waits for it
HOUR = 60  # minutes
MOST_CHECKED = 50_000  # failing models of which it is looked up whether they still have a schedule

# Each pair in use once; the first rows say how many models are in which state, the others are the pairs of the hour.
PAIRS = """
    WITH used AS (
        SELECT cron_expression, timezone, count(*) AS models FROM public.metrics_executions
        WHERE enabled GROUP BY cron_expression, timezone
    ), known AS MATERIALIZED (
        SELECT used.cron_expression, used.timezone, used.models, cron.next_due_at,
            CASE WHEN cron.error IS NOT NULL THEN 'error' WHEN cron.next_due_at IS NULL THEN 'new' ELSE 'scheduled'
            END AS status
        FROM used LEFT JOIN public.crons AS cron USING (cron_expression, timezone)
    )
    SELECT status, NULL, NULL, NULL::timestamptz, sum(models)::bigint FROM known GROUP BY status
    UNION ALL
    SELECT NULL, cron_expression, timezone, next_due_at, models FROM known
    WHERE status = 'scheduled' AND next_due_at < %(until)s
"""
PAUSED = "SELECT count(*) FROM public.metrics_executions WHERE NOT enabled"
LATE = """
    SELECT count(*) FROM public.crons AS cron
    JOIN public.metrics_executions AS schedule USING (cron_expression, timezone)
    WHERE cron.next_due_at < %(now)s - public.late_after() AND cron.error IS NULL
        AND schedule.enabled AND schedule.active_since < cron.next_due_at
"""
FAILING = """
    SELECT count(*) FROM public.schedule_status
    WHERE model_id = ANY (%(model_ids)s::uuid[]) AND status = 'scheduled'
"""


class Census(NamedTuple):
    """What was counted, and when."""

    counted_at: datetime
    scheduled: int  # enabled, and neither of the next three
    late: int
    new: int
    error: int
    paused: int
    failing: int  # of those that are scheduled
    minutes: Sequence[int]  # models due in each minute of the hour from counted_at's minute on

    @property
    def fine(self) -> int:
        """How many run in time and have a figure, or have yet to run for the first time."""
        return self.scheduled - self.failing

    @property
    def total(self) -> int:
        """How many schedules there are."""
        return self.scheduled + self.late + self.new + self.error + self.paused


class Counting:
    """Counts for all who look, while somebody does."""

    def __init__(self, settings: Settings) -> None:
        """Count nothing yet."""
        self._settings = settings
        self._lock = threading.Lock()
        self._counted = threading.Event()
        self._begun_at = self._counted_at = float("-inf")  # by time.monotonic()
        self._latest: Census | None = None

    def latest(self, patience: float) -> Census | None:
        """Return what was counted last, which may be a minute old; None where there is no such count."""
        now = time.monotonic()
        with self._lock:
            due = now - self._begun_at >= COUNT_EVERY
            if due:
                self._begun_at = now
            if now - self._counted_at > TOO_OLD:
                self._latest = None
                self._counted.clear()
        if due:
            threading.Thread(target=self._count, name="census", daemon=True).start()
        if self._latest is None:
            self._counted.wait(patience)
        return self._latest

    def _count(self) -> None:
        try:
            found = self._taken()
        except (psycopg2.Error, redis.RedisError) as error:
            log.warning("cannot count the schedules: %s", " ".join(str(error).split()))
            return
        with self._lock:
            self._latest, self._counted_at = found, time.monotonic()
            self._counted.set()

    def _taken(self) -> Census:
        opened = postgres.connect(
            self._settings.database_url, "cyclic-metrics api census", statement_timeout=STATEMENT_TIMEOUT
        )
        client = create_client(self._settings.redis_url, timeout=REDIS_TIMEOUT, single_connection=True)
        with closing(opened), closing(client), opened.cursor() as statements:
            return take(statements, ResultStore(client))


def take(statements: cursor, found: ResultStore) -> Census:
    """Count."""
    statements.execute("SELECT public.schedule_now()")
    [(now,)] = statements.fetchall()
    start = floor_minute(now)
    statements.execute(PAIRS, {"until": start + HOUR * MINUTE})
    rows = statements.fetchall()
    states = {status: models for status, *_, models in rows if status}
    late = _count(statements, LATE, {"now": now})
    scheduled = max(0, states.get("scheduled", 0) - late)
    return Census(
        counted_at=now,
        scheduled=scheduled,
        late=late,
        new=states.get("new", 0),
        error=states.get("error", 0),
        paused=_count(statements, PAUSED, {}),
        failing=min(scheduled, _failing(statements, found)),  # beyond the bound, some have no schedule any more
        minutes=_minutes([row[1:] for row in rows if not row[0]], start),
    )


def _count(statements: cursor, query: str, values: dict[str, object]) -> int:
    statements.execute(query, values)
    [(count,)] = statements.fetchall()
    return int(count)


def _failing(statements: cursor, found: ResultStore) -> int:
    """Return how many schedules fail; a model whose schedule is gone or paused keeps its last result."""
    failures = found.failing(None, MOST_CHECKED)
    model_ids = [failure.model_id for failure in failures if UUID.fullmatch(failure.model_id)]
    unchecked = max(0, found.count_failing() - MOST_CHECKED)
    return unchecked + _count(statements, FAILING, {"model_ids": model_ids})


def _minutes(pairs: Sequence[tuple[str, str, datetime, int]], start: datetime) -> Sequence[int]:
    """Return how many models are due in each minute of the hour."""
    minutes = [0] * HOUR
    for expression, timezone, next_due_at, models in pairs:
        for place in _places(expression, timezone, next_due_at, start):
            minutes[place] += models
    return minutes


def _places(expression: str, timezone: str, next_due_at: datetime, start: datetime) -> Sequence[int]:
    first = max(0, (next_due_at - start) // MINUTE)
    try:
        found = minutes_with_fires(expression, timezone, start, HOUR)
    except (InvalidCron, InvalidTimeZone):  # past the gate, and the scheduler has yet to say so
        return []
    return [place for place in found if place >= first]
