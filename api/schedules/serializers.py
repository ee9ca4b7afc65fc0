"""Schedules as the API shows them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import cast

from api.contract.response_fields import format_timestamp
from api.cron.routes import next_five, words
from api.cron.schemas import DueTime
from api.results.schemas import ResultResponse
from api.schedules.details import Details, Fire, reason
from api.schedules.queries import Schedule
from api.schedules.response_schemas import ScheduleDetails, ScheduleResponse
from api.status.schemas import FireResponse
from api.status.snapshot import Queue
from core.cron.spec import CronSpec, next_due_time
from core.cron.wall_clock import MINUTE
from core.results.models import Result
from core.timestamps import iso


def schedule(found: Schedule) -> ScheduleResponse:
    """Return a schedule as it stands in lists."""
    status, next_run_at, error = found.status, found.next_run_at, found.error
    if next_run_at is None and error is None and found.enabled:
        # The scheduler has not come round to it yet, and will count from then.
        pair = CronSpec(found.cron_expression, found.timezone)
        _, next_run_at, error = next_due_time(pair, found.active_since)
        status = "error" if error else status
    return {
        "model_id": found.model_id,
        "name": found.name,
        "cron_expression": found.cron_expression,
        "timezone": found.timezone,
        "enabled": found.enabled,
        "status": status,
        "next_run_at": format_timestamp(next_run_at),
        "last_run_at": format_timestamp(found.last_run_at),
        "error": error,
        "created_at": iso(found.created_at),
        "updated_at": iso(found.updated_at),
    }


def details(found: Details, result: Result | None, queue: Callable[[], Queue]) -> ScheduleDetails:
    """Return a schedule with all that there is to say of it; the queue is asked only where it matters."""
    row, fire = found.schedule, found.last_fire
    listed = schedule(row)
    return {
        **listed,
        "description": words(row.cron_expression),
        "next_fires": _next_fires(row, found.now) if listed["next_run_at"] else [],
        "last_fire": _fire(fire) if fire else None,
        "last_result": cast("ResultResponse", result.as_dict()) if result else None,
        "reason": reason(listed, found, result, queue),
    }


def _next_fires(row: Schedule, now: datetime) -> list[DueTime]:
    """Return what is worked out once, as long as the next fire is the same one."""
    upcoming = row.next_run_at if row.next_run_at and row.next_run_at > now else None
    after = upcoming - MINUTE if upcoming else now.replace(second=0, microsecond=0)  # fires are at full minutes
    return list(next_five(row.cron_expression, row.timezone, after))


def _fire(fire: Fire) -> FireResponse:
    return {
        "due_at": iso(fire.due_at),
        "lag_seconds": _seconds(fire.lag),
        "duration_seconds": _seconds(fire.duration),
        "models": fire.models,
        "skipped": fire.skipped,
    }


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
