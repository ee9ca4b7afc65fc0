"""Rows of the table of schedules."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import NamedTuple, cast

import redis

from api.cron.preview import description
from api.pages.filters import percent
from api.pages.snapshot import SystemView
from api.pages.status_badge import UNKNOWN, Badge, pending_run_request, status_badge
from api.pages.svg import Sparkline, sparkline
from api.schedules import details, serializers
from api.schedules.details import Details
from api.schedules.queries import Schedule
from api.schedules.response_schemas import ScheduleResponse
from api.status.snapshot import QueueState
from core.results.models import NO_RESULTS, RecentResults, Result
from core.results.repository import ResultStore

SPARKLINE_RESULTS = 20


class Row(NamedTuple):
    """Content of a row."""

    schedule: ScheduleResponse
    description: str | None  # of the cron expression
    next_run_at: datetime | None
    badge: Badge
    run_requested_at: datetime | None  # of a run request without a result
    result: Result | None
    accuracy: float | None  # the last one
    change: float | None  # since the one before
    sparkline: Sparkline
    sparkline_label: str  # for screen readers


def table_rows(
    schedules: Sequence[Schedule], results: Callable[[], ResultStore], system_view: SystemView
) -> Sequence[Row]:
    """Return the rows of schedules; without results if Redis is unavailable."""
    recent_results = [NO_RESULTS for _ in schedules]
    if system_view.queue:
        try:
            recent_results = results().recent_of([schedule.model_id for schedule in schedules], SPARKLINE_RESULTS)
        except redis.RedisError:
            system_view = system_view._replace(queue=None)
    return [_row(schedule, recent, system_view) for schedule, recent in zip(schedules, recent_results, strict=True)]


def parse_timestamp(text: str | None) -> datetime | None:
    """Return a timestamp of an API response."""
    return datetime.fromisoformat(text) if text else None


def _row(schedule: Schedule, recent: RecentResults, system_view: SystemView) -> Row:
    response = serializers.schedule_response(schedule)
    accuracies = [accuracy for accuracy in recent.accuracies if accuracy is not None]
    return Row(
        schedule=response,
        description=description(schedule.cron_expression),
        next_run_at=parse_timestamp(response["next_run_at"]),
        badge=_badge(schedule, response, recent.latest, system_view),
        run_requested_at=pending_run_request(schedule, recent.latest),
        result=recent.latest,
        accuracy=accuracies[0] if accuracies else None,
        change=accuracies[0] - accuracies[1] if len(accuracies) > 1 else None,
        sparkline=sparkline(recent.accuracies[::-1]),
        sparkline_label=_sparkline_label(accuracies, len(recent.accuracies)),
    )


def _badge(schedule: Schedule, response: ScheduleResponse, result: Result | None, system_view: SystemView) -> Badge:
    system, queue = system_view.system, system_view.queue
    if queue is None and response["status"] == "scheduled":
        return UNKNOWN
    row_details = Details(system.now, None, system.leader, schedule)
    reason = details.explain_status(response, row_details, result, lambda: cast("QueueState", queue))
    return status_badge(response, schedule.last_run_at, result, reason, system.now)


def _sparkline_label(accuracies: Sequence[float], runs: int) -> str:
    if not accuracies:
        return "no accuracy yet"
    low, high = min(accuracies), max(accuracies)
    spread = f"between {percent(low)} and {percent(high)}" if len(accuracies) > 1 else percent(low)
    failed = f", {runs - len(accuracies)} without a figure" if runs > len(accuracies) else ""
    return f"accuracy of the last {runs} {'runs' if runs > 1 else 'run'}: {spread}{failed}"
