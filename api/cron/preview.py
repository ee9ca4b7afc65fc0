"""Description and next due times of a cron expression, as the API returns them."""

from datetime import datetime
from functools import lru_cache

from api.cron.schemas import DEFAULT_COUNT, CronError, DueTime
from core.cron.description import describe
from core.cron.occurrences import InvalidCron, InvalidTimeZone
from core.cron.preview import Occurrence, next_occurrences
from core.timestamps import iso


@lru_cache(16_384)
def description(expression: str) -> str | None:
    """Return the expression in words; None for an invalid one that bypassed the validation trigger."""
    try:
        return describe(expression)
    except InvalidCron:
        return None


@lru_cache(8_192)
def next_due_times(expression: str, timezone: str, after: datetime) -> tuple[DueTime, ...]:
    """Return the next five due times of a cron spec; fewer where there are fewer."""
    due_times, _ = preview(expression, timezone, after, DEFAULT_COUNT)
    return tuple(due_times)


def preview(expression: str, timezone: str, after: datetime, count: int) -> tuple[list[DueTime], list[CronError]]:
    """Return the next due times, or why the scheduler could not run what the validation trigger accepts."""
    due_times: list[DueTime] = []
    try:
        due_times += map(_due_time, next_occurrences(expression, timezone, after, count))
    except (InvalidCron, InvalidTimeZone) as error:
        if not due_times:
            field = "timezone" if isinstance(error, InvalidTimeZone) else "cron_expression"
            return [], [{"field": field, "detail": str(error), "hint": None}]
    return due_times, []


def _due_time(occurrence: Occurrence) -> DueTime:
    return {
        "at": iso(occurrence.at),
        "local": occurrence.local.isoformat(),
        "daylight_saving": occurrence.daylight_saving,
        "stands_for": [local.isoformat() for local in occurrence.stands_for],
    }
