"""What the API asks PostgreSQL of schedules; it writes to metrics_executions alone."""

from collections.abc import Sequence
from datetime import datetime
from operator import attrgetter
from typing import Literal, NamedTuple

from psycopg2.extensions import cursor

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
# No INSERT with ON CONFLICT: the gate would judge a row that got past it anew, whatever is to change of it.
CHANGE = """
    UPDATE public.metrics_executions
    SET name = %(name)s, cron_expression = %(cron_expression)s, timezone = %(timezone)s, enabled = %(enabled)s
    WHERE model_id = %(model_id)s
"""
COLUMNS = """
    SELECT model_id::text, name, cron_expression, timezone, enabled, status, next_run_at, last_run_at, error,
        active_since, created_at, updated_at, requested_run_at
    FROM public.schedule_status
"""
FIND = COLUMNS + "WHERE model_id = %(model_id)s"
# The row is locked, so that nobody changes it between the comparison and the change.
LOCK = "SELECT FROM public.metrics_executions WHERE model_id = %(model_id)s FOR UPDATE"
RUN = """
    UPDATE public.metrics_executions SET run_requested_at = now() WHERE model_id = %(model_id)s
    RETURNING run_requested_at
"""
DELETE = "DELETE FROM public.metrics_executions WHERE model_id = %(model_id)s"

# Whatever the gate would say of many schedules, in their order.
REFUSALS = """
    SELECT wanted.place - 1, problem.field, problem.message, problem.hint
    FROM unnest(%(cron_expression)s::text[], %(timezone)s::text[], %(name)s::text[]) WITH ORDINALITY
        AS wanted (cron_expression, timezone, name, place)
    CROSS JOIN LATERAL (
        SELECT field, message, hint FROM public.schedule_problems(wanted.cron_expression, wanted.timezone)
        UNION ALL
        SELECT 'name', public.name_problem(wanted.name), 'Write at most 200 characters.'
        WHERE public.name_problem(wanted.name) IS NOT NULL
    ) AS problem
    ORDER BY wanted.place, problem.field
    LIMIT %(most)s
"""

# The form in which it would be stored, and what the gate would say; at least one row.
JUDGE = """
    SELECT public.schedule_now(), normal.form, problem.field, problem.message, problem.hint
    FROM (SELECT public.normalize_cron(%(expression)s) AS form) AS normal
    LEFT JOIN public.schedule_problems(normal.form, %(timezone)s) AS problem ON true
"""


ScheduleStatus = Literal["scheduled", "new", "late", "paused", "error"]


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
    status: ScheduleStatus
    next_run_at: datetime | None
    last_run_at: datetime | None
    error: str | None
    active_since: datetime
    created_at: datetime
    updated_at: datetime
    requested_run_at: datetime | None


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


def save(statements: cursor, schedules: Sequence[NewSchedule]) -> int:
    """Create or replace schedules, each of another model; how many were created. The gate may refuse them all."""
    # In one order, whoever saves: else two of them might each wait for a row that the other one holds.
    statements.execute(SAVE, _columns(sorted(schedules, key=attrgetter("model_id"))))
    return sum(created for (created,) in statements.fetchall())


def change(statements: cursor, schedule: NewSchedule) -> None:
    """SchedulePatch the schedule of a model. The gate may refuse what is new of it."""
    statements.execute(CHANGE, schedule._asdict())


def find(statements: cursor, model_id: str) -> Schedule | None:
    """Return the schedule of a model."""
    statements.execute(FIND, {"model_id": model_id})
    row = statements.fetchone()
    return Schedule(*row) if row else None


def lock(statements: cursor, model_id: str) -> Schedule | None:
    """Return the schedule of a model, which stays as it is until the transaction ends."""
    statements.execute(LOCK, {"model_id": model_id})
    return find(statements, model_id) if statements.rowcount else None


def run(statements: cursor, model_id: str) -> datetime | None:
    """Ask for a run of a model; the moment that its result will have, or None where there is no schedule."""
    statements.execute(RUN, {"model_id": model_id})
    row = statements.fetchone()
    return row[0] if row else None


def delete(statements: cursor, model_id: str) -> bool:
    """Delete the schedule of a model; whether there was one."""
    statements.execute(DELETE, {"model_id": model_id})
    return statements.rowcount > 0


def refusals(statements: cursor, schedules: Sequence[NewSchedule], most: int) -> list[tuple[int, Refusal]]:
    """Return what the gate says of schedules that it refuses, each with its position, counted from 0."""
    statements.execute(REFUSALS, {**_columns(schedules), "most": most})
    return [(place, Refusal(*refusal)) for place, *refusal in statements.fetchall()]


def judge(statements: cursor, expression: str, timezone: str) -> Judgement:
    """Return what the gate would say; nothing is written."""
    statements.execute(JUDGE, {"expression": expression, "timezone": timezone})
    rows = statements.fetchall()
    now, form = rows[0][:2]
    return Judgement(now, form, [Refusal(*row[2:]) for row in rows if row[2] is not None])


def _columns(schedules: Sequence[NewSchedule]) -> dict[str, list[object]]:
    """Return the arrays that statements unnest."""
    return {name: [getattr(schedule, name) for schedule in schedules] for name in NewSchedule._fields}
