"""Status badge of a schedule: text, kind (color) and reason."""

from datetime import datetime, timedelta
from typing import Literal, NamedTuple

from api.schedules.queries import Schedule
from api.schedules.response_schemas import ScheduleResponse
from core.results.models import Result

Kind = Literal["good", "bad", "idle"]

BEFORE_FIRST_RUN = "its first run is still to come"
RESULT_GRACE_PERIOD = timedelta(seconds=5)  # after a due time, before a missing result is reported


class Badge(NamedTuple):
    """Content of a badge."""

    text: str
    kind: Kind
    reason: str | None


UNKNOWN = Badge("unknown", "idle", "Redis, which has the results, does not answer")
BY_SCHEDULE_STATUS: dict[str, tuple[str, Kind]] = {
    "paused": ("paused", "idle"),
    "late": ("late", "bad"),
    "new": ("new", "idle"),
    "error": ("cannot run", "bad"),
}
BY_RESULT_STATUS: dict[str, tuple[str, Kind]] = {
    "ok": ("fine", "good"),
    "no_data": ("no data", "bad"),
    "error": ("error", "bad"),
}


def status_badge(
    schedule: ScheduleResponse, last_run_at: datetime | None, result: Result | None, reason: str | None, now: datetime
) -> Badge:
    """Return the badge of a schedule and its last result; reason is that of api.schedules.details."""
    if schedule["status"] in BY_SCHEDULE_STATUS:
        return Badge(*BY_SCHEDULE_STATUS[schedule["status"]], reason)
    if last_run_at and (result is None or result.due_at < last_run_at) and now > last_run_at + RESULT_GRACE_PERIOD:
        return Badge("no result yet", "idle", reason)
    if result is None:
        return Badge("waiting", "idle", reason if last_run_at else BEFORE_FIRST_RUN)  # the row has its due time
    is_of_last_run = result.due_at == last_run_at  # the reason is not that of a run without a result yet
    return Badge(*BY_RESULT_STATUS[result.status], result.error or (reason if is_of_last_run else None))


def pending_run_request(schedule: Schedule, result: Result | None) -> datetime | None:
    """Return the time of a run request that has no result yet."""
    requested_at = schedule.requested_run_at
    return None if requested_at and result and result.due_at >= requested_at else requested_at
