"""The table of schedules, row by row."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, cast

import redis

from api.cron.preview import description
from api.pages.filters import percent
from api.pages.snapshot import Whole
from api.pages.status_badge import UNKNOWN, State, requested_run, state
from api.pages.svg import Sparkline, sparkline
from api.schedules import details, serializers
from api.schedules.details import Details
from api.schedules.queries import Schedule
from api.schedules.response_schemas import ScheduleResponse
from api.status.snapshot import QueueState
from core.results.models import NO_RESULTS, RecentResults, Result
from core.results.repository import ResultStore

DRAWN = 20  # results, in a sparkline


class Row(NamedTuple):
    """What the table says of one schedule."""

    schedule: ScheduleResponse
    words: str | None
    next_run_at: datetime | None
    state: State
    run_requested_at: datetime | None  # of a requested run without a result
    result: Result | None
    accuracy: float | None  # of the last result that has one
    change: float | None  # since the one before it that has one
    sparkline: Sparkline
    described: str  # the same for those who do not see it


def rows(schedules: Sequence[Schedule], results: Callable[[], ResultStore], whole: Whole) -> Sequence[Row]:
    """Return the rows of schedules."""
    recent = [NO_RESULTS for _ in schedules]
    if whole.queue:
        try:
            recent = results().recent_of([schedule.model_id for schedule in schedules], DRAWN)
        except redis.RedisError:
            whole = whole._replace(queue=None)
    return [_row(schedule, one, whole) for schedule, one in zip(schedules, recent, strict=True)]


def _row(schedule: Schedule, recent: RecentResults, whole: Whole) -> Row:
    listed = serializers.schedule_response(schedule)
    result, figures = recent.latest, recent.accuracies
    known = [figure for figure in figures if figure is not None]
    return Row(
        schedule=listed,
        words=description(schedule.cron_expression),
        next_run_at=instant(listed["next_run_at"]),
        state=_state(schedule, listed, result, whole),
        run_requested_at=requested_run(schedule, result),
        result=result,
        accuracy=known[0] if known else None,
        change=known[0] - known[1] if len(known) > 1 else None,
        sparkline=sparkline(figures[::-1]),
        described=_described(known, len(figures)),
    )


def _state(schedule: Schedule, listed: ScheduleResponse, result: Result | None, whole: Whole) -> State:
    system, queue = whole.system, whole.queue
    if queue is None and listed["status"] == "scheduled":
        return UNKNOWN
    known = Details(system.now, None, system.leader, schedule)
    reason = details.explain_status(listed, known, result, lambda: cast("QueueState", queue))
    return state(listed, schedule.last_run_at, result, reason, system.now)


def instant(shown: str | None) -> datetime | None:
    """Return an instant that the API shows."""
    return datetime.fromisoformat(shown) if shown else None


def _described(known: Sequence[float], count: int) -> str:
    """Return a sparkline in words, for those who do not see it."""
    if not known:
        return "no accuracy yet"
    failed = f", {count - len(known)} without a figure" if count > len(known) else ""
    spread = f"between {percent(min(known))} and {percent(max(known))}" if len(known) > 1 else percent(known[0])
    return f"accuracy of the last {count} {'runs' if count > 1 else 'run'}: {spread}{failed}"
