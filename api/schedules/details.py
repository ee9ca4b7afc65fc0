"""One schedule with its last run, and why it did not fire where it did not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import NamedTuple

from psycopg2.extensions import cursor

from api.contract.response_fields import format_timestamp
from api.schedules.queries import Schedule
from api.schedules.response_schemas import ScheduleResponse
from api.status import diagnosis
from api.status.snapshot import Leader, Queue
from core.results.models import Result

DETAILS = """
    SELECT public.schedule_now(), fire.due_at, fire.lag, fire.duration, fire.models, fire.skipped,
        leader.name, leader.since, leader.looked_at, leader.error,
        status.model_id::text, status.name, status.cron_expression, status.timezone, status.enabled, status.status,
        status.next_run_at, status.last_run_at, status.error, status.active_since, status.created_at, status.updated_at,
        status.requested_run_at
    FROM public.schedule_status AS status
    CROSS JOIN public.leader
    LEFT JOIN public.fires AS fire ON fire.due_at = status.last_run_at
    WHERE status.model_id = %(model_id)s
"""


class Fire(NamedTuple):
    """The row of fires in which a model was last sent."""

    due_at: datetime
    lag: timedelta | None
    duration: timedelta | None
    models: int
    skipped: int


class Details(NamedTuple):
    """A schedule, and what there is to say of its last run."""

    now: datetime
    last_fire: Fire | None
    leader: Leader
    schedule: Schedule


def find(statements: cursor, model_id: str) -> Details | None:
    """Return the schedule of a model, with what there is to say of its last run."""
    statements.execute(DETAILS, {"model_id": model_id})
    row = statements.fetchone()
    if row is None:
        return None
    fire = Fire(*row[1:6]) if row[1] else None
    return Details(row[0], fire, Leader(*row[6:10]), Schedule(*row[10:]))


def reason(
    schedule: ScheduleResponse, details: Details, result: Result | None, queue: Callable[[], Queue]
) -> str | None:
    """Return why the schedule, as it is shown, did not fire or has no result of its last moment; None if all is well.

    What is shown knows more than the row: when a schedule runs that the scheduler has not seen, or why it never will.
    """
    if schedule["status"] != "scheduled":
        return _not_scheduled(schedule, details)
    last_run_at, active_since = details.schedule.last_run_at, details.schedule.active_since
    if active_since > details.now:
        return f"active_since is {format_timestamp(active_since)}, ahead of the clock; pause and resume the schedule"
    if last_run_at is None:
        return f"its first moment since it was made, changed or resumed is {schedule['next_run_at']}"
    if result is None or result.due_at < last_run_at:
        found = queue()
        where = "; ".join([*diagnosis.waiting(found), *diagnosis.taken(found)]) or "no message of it is left"
        return f"the run of {format_timestamp(last_run_at)} has no result yet: {where}"
    if details.last_fire and details.last_fire.skipped:
        skipped = details.last_fire.skipped
        missed = "1 moment was missed" if skipped == 1 else f"{skipped} moments were missed"
        return (
            f"{missed} before {format_timestamp(last_run_at)}, of all crons that were due then, and it stands for them"
        )
    return None


def _not_scheduled(schedule: ScheduleResponse, details: Details) -> str | None:
    scheduler = "; ".join(diagnosis.scheduler(details.leader, details.now))
    match schedule["status"]:
        case "paused":
            return "it is paused"
        case "late":
            return f"its moment {schedule['next_run_at']} has passed: {scheduler or 'it is being sent'}"
        case "new":
            return scheduler or "the scheduler has not seen it yet"
        case _:
            return schedule["error"]
