"""How a schedule is doing, in a word, a colour and a sentence."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from api.schedules.queries import Schedule
from api.schedules.response_schemas import ScheduleResponse
from core.results.models import Result

Kind = Literal["good", "bad", "idle"]
NOT_YET = "its first run is still to come"
SOON = timedelta(seconds=5)  # after its moment, a result is on its way, which is nothing to speak of


class State(NamedTuple):
    """What stands in the table."""

    word: str
    kind: Kind
    reason: str | None


UNKNOWN = State("unknown", "idle", "Redis, which has the results, does not answer")
WORDS: dict[str, tuple[str, Kind]] = {
    "paused": ("paused", "idle"),
    "late": ("late", "bad"),
    "new": ("new", "idle"),
    "error": ("cannot run", "bad"),
}
RESULTS: dict[str, tuple[str, Kind]] = {
    "ok": ("fine", "good"),
    "no_data": ("no data", "bad"),
    "error": ("error", "bad"),
}


def requested_run(schedule: Schedule, result: Result | None) -> datetime | None:
    """Return the time of a requested run that has no result yet."""
    requested_at = schedule.requested_run_at
    return None if requested_at and result and result.due_at >= requested_at else requested_at


def state(
    schedule: ScheduleResponse, last_run_at: datetime | None, result: Result | None, reason: str | None, now: datetime
) -> State:
    """Return the state of a schedule with its last result; reason is what api.schedules.details says."""
    if schedule["status"] in WORDS:
        return State(*WORDS[schedule["status"]], reason)
    if last_run_at and (result is None or result.due_at < last_run_at) and now > last_run_at + SOON:
        return State("no result yet", "idle", reason)
    if result is None:
        return State("waiting", "idle", reason if last_run_at else NOT_YET)  # its moment stands beside it
    about_last_run = result.due_at == last_run_at  # and so not about a result that is on its way
    return State(*RESULTS[result.status], result.error or (reason if about_last_run else None))
