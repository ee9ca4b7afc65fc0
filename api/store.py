"""What the API asks PostgreSQL of schedules; it writes to metrics_executions alone."""

from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import cursor

# xmax is 0 in a row that this statement inserted, and not in one that it updated.
SAVE = """
    INSERT INTO public.metrics_executions (model_id, name, cron_expression, timezone, enabled)
    VALUES (%(model_id)s, %(name)s, %(cron_expression)s, %(timezone)s, %(enabled)s)
    ON CONFLICT (model_id) DO UPDATE
        SET name = excluded.name, cron_expression = excluded.cron_expression,
            timezone = excluded.timezone, enabled = excluded.enabled
    RETURNING xmax = 0
"""
COLUMNS = """
    SELECT model_id::text, name, cron_expression, timezone, enabled, status, next_run_at, last_run_at, error,
        active_since, created_at, updated_at
    FROM public.schedule_status
"""
FIND = COLUMNS + "WHERE model_id = %(model_id)s"
LIST = COLUMNS + "WHERE model_id > %(after)s ORDER BY model_id LIMIT %(limit)s"
DELETE = "DELETE FROM public.metrics_executions WHERE model_id = %(model_id)s"

# The form in which it would be stored, and what the gate would say; at least one row.
JUDGE = """
    SELECT public.schedule_now(), normal.form, problem.field, problem.message, problem.hint
    FROM (SELECT public.normal_cron(%(expression)s) AS form) AS normal
    LEFT JOIN public.schedule_problems(normal.form, %(timezone)s) AS problem ON true
"""


class NewSchedule(NamedTuple):
    """What a user wants; what was left out has its default."""

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
    status: str
    next_run_at: datetime | None
    last_run_at: datetime | None
    error: str | None
    active_since: datetime
    created_at: datetime
    updated_at: datetime


class Refusal(NamedTuple):
    """What the gate says of a value that it refuses, and what to write instead."""

    field: str
    detail: str
    hint: str | None


class Judgement(NamedTuple):
    """What the gate says of a cron expression and a time zone."""

    now: datetime
    cron_expression: str  # in its normal form
    errors: list[Refusal]


def save(statements: cursor, schedule: NewSchedule) -> bool:
    """Create or replace the schedule of a model; whether it was created. The gate may refuse it."""
    statements.execute(SAVE, schedule._asdict())
    row = statements.fetchone()
    assert row is not None
    return bool(row[0])


def find(statements: cursor, model_id: str) -> Schedule | None:
    """Return the schedule of a model."""
    statements.execute(FIND, {"model_id": model_id})
    row = statements.fetchone()
    return Schedule(*row) if row else None


def page(statements: cursor, after: str, limit: int) -> list[Schedule]:
    """Return schedules in the order of their model ids, from behind one."""
    statements.execute(LIST, {"after": after, "limit": limit})
    return [Schedule(*row) for row in statements.fetchall()]


def delete(statements: cursor, model_id: str) -> bool:
    """Delete the schedule of a model; whether there was one."""
    statements.execute(DELETE, {"model_id": model_id})
    return statements.rowcount > 0


def judge(statements: cursor, expression: str, timezone: str) -> Judgement:
    """Return what the gate would say; nothing is written."""
    statements.execute(JUDGE, {"expression": expression, "timezone": timezone})
    rows = statements.fetchall()
    now, form = rows[0][:2]
    return Judgement(now, form, [Refusal(*row[2:]) for row in rows if row[2] is not None])
