"""Numbers of schedules by state, and of models due in each minute of the coming hour."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import cursor

from api.contract.fields import UUID
from core.cron.forecast import minutes_with_fires
from core.cron.occurrences import InvalidCron, InvalidTimeZone
from core.cron.wall_clock import MINUTE, floor_minute
from core.results.repository import ResultStore

FORECAST_MINUTES = 60
MAX_CHECKED_FAILURES = 50_000  # failing models that are checked for still having a schedule

SCHEDULE_NOW = "SELECT public.schedule_now()"
# Reads each cron spec in use once: totals by status (without a cron spec), and the cron specs due in the coming hour.
SPEC_COUNTS = """
    WITH used AS (
        SELECT cron_expression, timezone, count(*) AS models FROM public.metrics_executions
        WHERE enabled GROUP BY cron_expression, timezone
    ), spec AS MATERIALIZED (
        SELECT used.cron_expression, used.timezone, used.models, cron.next_due_at,
            CASE WHEN cron.error IS NOT NULL THEN 'error' WHEN cron.next_due_at IS NULL THEN 'new' ELSE 'scheduled'
            END AS status
        FROM used LEFT JOIN public.crons AS cron USING (cron_expression, timezone)
    )
    SELECT status, sum(models)::bigint AS models, NULL AS cron_expression, NULL AS timezone,
        NULL::timestamptz AS next_due_at
    FROM spec GROUP BY status
    UNION ALL
    SELECT status, models, cron_expression, timezone, next_due_at FROM spec
    WHERE status = 'scheduled' AND next_due_at < %(until)s
"""
COUNT_PAUSED = "SELECT count(*) FROM public.metrics_executions WHERE NOT enabled"
COUNT_LATE = """
    SELECT count(*) FROM public.crons AS cron
    JOIN public.metrics_executions AS schedule USING (cron_expression, timezone)
    WHERE cron.next_due_at < %(now)s - public.late_after() AND cron.error IS NULL
        AND schedule.enabled AND schedule.active_since < cron.next_due_at
"""
COUNT_SCHEDULED_OF = """
    SELECT count(*) FROM public.schedule_status
    WHERE model_id = ANY (%(model_ids)s::uuid[]) AND status = 'scheduled'
"""


class SpecCount(NamedTuple):
    """Number of enabled models of a status, in total (without a cron spec) or of one cron spec."""

    status: str
    models: int
    cron_expression: str | None
    timezone: str | None
    next_due_at: datetime | None


class Statistics(NamedTuple):
    """Numbers of schedules and of due models, and when they were counted."""

    counted_at: datetime
    scheduled: int  # enabled, and neither of the next three
    late: int
    new: int
    error: int
    paused: int
    failing: int  # of those that are scheduled
    due_per_minute: Sequence[int]  # models, from the minute of counted_at on

    @property
    def fine(self) -> int:
        """Number of schedules whose runs are in time, and whose last result, if there is one, has an accuracy."""
        return self.scheduled - self.failing

    @property
    def total(self) -> int:
        """Number of all schedules."""
        return self.scheduled + self.late + self.new + self.error + self.paused


def count_schedules(
    cur: cursor, results: ResultStore, *, max_checked_failures: int = MAX_CHECKED_FAILURES
) -> Statistics:
    """Return the statistics; PostgreSQL needs half a second for a million schedules."""
    now = _value(cur, SCHEDULE_NOW)
    start = floor_minute(now)
    cur.execute(SPEC_COUNTS, {"until": start + FORECAST_MINUTES * MINUTE})
    counts = [SpecCount(*row) for row in cur.fetchall()]
    by_status = {count.status: count.models for count in counts if count.cron_expression is None}
    late = _value(cur, COUNT_LATE, {"now": now})
    scheduled = max(0, by_status.get("scheduled", 0) - late)
    failing = _count_failing(cur, results, max_checked_failures)
    return Statistics(
        counted_at=now,
        scheduled=scheduled,
        late=late,
        new=by_status.get("new", 0),
        error=by_status.get("error", 0),
        paused=_value(cur, COUNT_PAUSED),
        failing=min(scheduled, failing),  # unchecked ones may have no schedule any more
        due_per_minute=_due_per_minute(counts, start),
    )


def _value(cur: cursor, query: str, values: Mapping[str, object] | None = None) -> Any:
    cur.execute(query, values)
    [(value,)] = cur.fetchall()
    return value


def _count_failing(cur: cursor, results: ResultStore, max_checked: int) -> int:
    """Return the number of failing schedules; a model whose schedule is deleted or paused keeps its last result."""
    failures = results.failing(None, max_checked)
    model_ids = [failure.model_id for failure in failures if UUID.fullmatch(failure.model_id)]
    unchecked = max(0, results.count_failing() - max_checked)
    return unchecked + int(_value(cur, COUNT_SCHEDULED_OF, {"model_ids": model_ids}))


def _due_per_minute(counts: Sequence[SpecCount], start: datetime) -> Sequence[int]:
    models = [0] * FORECAST_MINUTES
    for count in counts:
        for minute in _due_minutes(count, start):
            models[minute] += count.models
    return models


def _due_minutes(count: SpecCount, start: datetime) -> Sequence[int]:
    """Return the minutes since the start, from the next due time on, in which a cron spec is due."""
    if count.cron_expression is None or count.timezone is None or count.next_due_at is None:
        return []
    first = max(0, (count.next_due_at - start) // MINUTE)
    try:
        minutes = minutes_with_fires(count.cron_expression, count.timezone, start, FORECAST_MINUTES)
    except (InvalidCron, InvalidTimeZone):  # bypassed the validation trigger, and the scheduler has not read it yet
        return []
    return [minute for minute in minutes if minute >= first]
