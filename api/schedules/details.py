"""Details of a schedule: its last fire, and why it did not run."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import cursor

from api.contract.response_fields import format_timestamp
from api.rows import fetch_row, to_record
from api.schedules.queries import Schedule
from api.schedules.response_schemas import ScheduleResponse
from api.status import diagnosis
from api.status.snapshot import Fire, Leader, QueueState
from core.results.models import Result

DETAILS = """
    SELECT public.schedule_now() AS now,
        fire.due_at AS fire_due_at, fire.lag AS fire_lag, fire.duration AS fire_duration, fire.crons AS fire_crons,
        fire.models AS fire_models, fire.messages AS fire_messages, fire.skipped AS fire_skipped,
        leader.name AS leader_name, leader.since AS leader_since, leader.looked_at AS leader_looked_at,
        leader.error AS leader_error,
        schedule.*
    FROM public.schedule_status AS schedule
    CROSS JOIN public.leader
    LEFT JOIN public.fires AS fire ON fire.due_at = schedule.last_run_at
    WHERE schedule.model_id = %(model_id)s
"""


class Details(NamedTuple):
    """A schedule, its last fire, and the state of the leader."""

    now: datetime
    last_fire: Fire | None
    leader: Leader
    schedule: Schedule


def find_details(cur: cursor, model_id: str) -> Details | None:
    """Return the schedule of a model with its details."""
    cur.execute(DETAILS, {"model_id": model_id})
    row = fetch_row(cur)
    if row is None:
        return None
    last_fire = to_record(row, Fire, "fire_") if row["fire_due_at"] else None
    return Details(row["now"], last_fire, to_record(row, Leader, "leader_"), to_record(row, Schedule))


def explain_status(
    schedule: ScheduleResponse, details: Details, result: Result | None, read_queue: Callable[[], QueueState]
) -> str | None:
    """Return why the schedule did not run, or has no result of its last due time; None if all is well.

    The response has more than the row: the next due time of a schedule that the scheduler has not read yet, or why it
    has none. read_queue() is called only where it matters.
    """
    if schedule["status"] != "scheduled":
        return _explain_not_scheduled(schedule, details)
    last_run_at, active_since = details.schedule.last_run_at, details.schedule.active_since
    if active_since > details.now:
        return f"active_since is {format_timestamp(active_since)}, ahead of the clock; pause and resume the schedule"
    if last_run_at is None:
        return f"its first due time since it was created, changed or resumed is {schedule['next_run_at']}"
    if result is None or result.due_at < last_run_at:
        queue = read_queue()
        messages = "; ".join([*diagnosis.waiting_messages(queue), *diagnosis.taken_messages(queue)])
        state = messages or "no message of it is left"
        return f"the run of {format_timestamp(last_run_at)} has no result yet: {state}"
    if details.last_fire and details.last_fire.skipped:
        skipped = details.last_fire.skipped
        missed = "1 due time was missed" if skipped == 1 else f"{skipped} due times were missed"
        return (
            f"{missed} before {format_timestamp(last_run_at)}, of all crons that were due then, and it stands for them"
        )
    return None


def _explain_not_scheduled(schedule: ScheduleResponse, details: Details) -> str | None:
    scheduler = "; ".join(diagnosis.scheduler_problems(details.leader, details.now))
    match schedule["status"]:
        case "paused":
            return "it is paused"
        case "late":
            return f"its due time {schedule['next_run_at']} has passed: {scheduler or 'it is being sent'}"
        case "new":
            return scheduler or "the scheduler has not read it yet"
        case _:
            return schedule["error"]
