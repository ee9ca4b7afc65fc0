"""SQL queries for schedules. Only metrics_executions is written."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Literal, NamedTuple

from psycopg2.extensions import cursor

from api.rows import fetch_record, fetch_records

# xmax is 0 in a row that this statement inserted, and not in one that it updated.
SAVE = """
    INSERT INTO public.metrics_executions (model_id, name, cron_expression, timezone, enabled)
    SELECT * FROM unnest(%(model_id)s::uuid[], %(name)s::text[], %(cron_expression)s::text[], %(timezone)s::text[],
        %(enabled)s::boolean[])
    ON CONFLICT (model_id) DO UPDATE
        SET name = excluded.name, cron_expression = excluded.cron_expression,
            timezone = excluded.timezone, enabled = excluded.enabled
    RETURNING xmax = 0
"""
# Not INSERT with ON CONFLICT: the validation trigger would validate an unchanged value that once bypassed it.
UPDATE = """
    UPDATE public.metrics_executions
    SET name = %(name)s, cron_expression = %(cron_expression)s, timezone = %(timezone)s, enabled = %(enabled)s
    WHERE model_id = %(model_id)s
"""
SELECT = """
    SELECT model_id::text, name, cron_expression, timezone, enabled, status, next_run_at, last_run_at, error,
        active_since, created_at, updated_at, requested_run_at
    FROM public.schedule_status
"""
FIND = SELECT + "WHERE model_id = %(model_id)s"
# The row is locked, so that it cannot change between the comparison and the update.
LOCK = "SELECT FROM public.metrics_executions WHERE model_id = %(model_id)s FOR UPDATE"
REQUEST_RUN = """
    UPDATE public.metrics_executions SET run_requested_at = now() WHERE model_id = %(model_id)s
    RETURNING run_requested_at
"""
DELETE = "DELETE FROM public.metrics_executions WHERE model_id = %(model_id)s"

# The errors that the validation trigger would raise, of all schedules, in their order.
VALIDATE = """
    SELECT schedule.position - 1 AS schedule_index, problem.field, problem.message AS detail, problem.hint
    FROM unnest(%(cron_expression)s::text[], %(timezone)s::text[], %(name)s::text[]) WITH ORDINALITY
        AS schedule (cron_expression, timezone, name, position)
    CROSS JOIN LATERAL (
        SELECT field, message, hint FROM public.schedule_problems(schedule.cron_expression, schedule.timezone)
        UNION ALL
        SELECT 'name', public.name_problem(schedule.name), 'Write at most 200 characters.'
        WHERE public.name_problem(schedule.name) IS NOT NULL
    ) AS problem
    ORDER BY schedule.position, problem.field
    LIMIT %(limit)s
"""

ScheduleStatus = Literal["scheduled", "new", "late", "paused", "error"]


class NewSchedule(NamedTuple):
    """The columns that users write, with their defaults."""

    model_id: str
    cron_expression: str
    timezone: str = "UTC"
    enabled: bool = True
    name: str | None = None


class Schedule(NamedTuple):
    """A row of the view schedule_status."""

    model_id: str
    name: str | None
    cron_expression: str
    timezone: str
    enabled: bool
    status: ScheduleStatus
    next_run_at: datetime | None
    last_run_at: datetime | None
    error: str | None
    active_since: datetime
    created_at: datetime
    updated_at: datetime
    requested_run_at: datetime | None


class InvalidValue(NamedTuple):
    """A value that the validation trigger rejects."""

    schedule_index: int
    field: str
    detail: str
    hint: str | None


def save(cur: cursor, schedules: Sequence[NewSchedule]) -> int:
    """Create or replace schedules of different models; return how many were created. They may be rejected."""
    # Always in the same order: otherwise two transactions might each wait for a row that the other one has locked.
    cur.execute(SAVE, _columns(sorted(schedules, key=attrgetter("model_id"))))
    return sum(is_new for (is_new,) in cur.fetchall())


def update(cur: cursor, schedule: NewSchedule) -> None:
    """Update the schedule of a model. Its new values may be rejected."""
    cur.execute(UPDATE, schedule._asdict())


def find(cur: cursor, model_id: str) -> Schedule | None:
    """Return the schedule of a model."""
    cur.execute(FIND, {"model_id": model_id})
    return fetch_record(cur, Schedule)


def lock(cur: cursor, model_id: str) -> Schedule | None:
    """Return the schedule of a model, locked until the transaction ends."""
    cur.execute(LOCK, {"model_id": model_id})
    return find(cur, model_id) if cur.rowcount else None


def request_run(cur: cursor, model_id: str) -> datetime | None:
    """Request a run of a model; return the due time of its result, or None without a schedule."""
    cur.execute(REQUEST_RUN, {"model_id": model_id})
    row = cur.fetchone()
    return row[0] if row else None


def delete(cur: cursor, model_id: str) -> bool:
    """Delete the schedule of a model; return False if there is none."""
    cur.execute(DELETE, {"model_id": model_id})
    return cur.rowcount > 0


def validate_schedules(cur: cursor, schedules: Sequence[NewSchedule], limit: int) -> list[InvalidValue]:
    """Return the values that the validation trigger would reject, at most so many."""
    cur.execute(VALIDATE, {**_columns(schedules), "limit": limit})
    return fetch_records(cur, InvalidValue)


def _columns(schedules: Sequence[NewSchedule]) -> dict[str, list[object]]:
    """Return arrays for unnest() in a statement."""
    return {name: [getattr(schedule, name) for schedule in schedules] for name in NewSchedule._fields}
