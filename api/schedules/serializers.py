"""Serializers of schedules."""

from collections.abc import Callable
from datetime import datetime
from typing import cast

from api.contract.response_fields import format_timestamp
from api.cron.preview import description, next_due_times
from api.cron.schemas import DueTime
from api.results.schemas import ResultResponse
from api.schedules.details import Details, explain_status
from api.schedules.queries import Schedule
from api.schedules.response_schemas import ScheduleDetails, ScheduleResponse
from api.status.serializers import fire_response
from api.status.snapshot import QueueState
from core.cron.spec import CronSpec, next_due_time
from core.cron.wall_clock import MINUTE
from core.results.models import Result
from core.timestamps import iso


def schedule_response(schedule: Schedule) -> ScheduleResponse:
    """Return a schedule as lists have it."""
    status, next_run_at, error = schedule.status, schedule.next_run_at, schedule.error
    if next_run_at is None and error is None and schedule.enabled:
        # The scheduler has not read it yet, and will count from then.
        spec = CronSpec(schedule.cron_expression, schedule.timezone)
        due_time = next_due_time(spec, schedule.active_since)
        next_run_at, error = due_time.next_due_at, due_time.error
        status = "error" if error else status
    return {
        "model_id": schedule.model_id,
        "name": schedule.name,
        "cron_expression": schedule.cron_expression,
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        "status": status,
        "next_run_at": format_timestamp(next_run_at),
        "last_run_at": format_timestamp(schedule.last_run_at),
        "error": error,
        "created_at": iso(schedule.created_at),
        "updated_at": iso(schedule.updated_at),
    }


def schedule_details(details: Details, result: Result | None, read_queue: Callable[[], QueueState]) -> ScheduleDetails:
    """Return a schedule with its details and its last result; read_queue() is called only where it matters."""
    schedule, last_fire = details.schedule, details.last_fire
    response = schedule_response(schedule)
    return {
        **response,
        "description": description(schedule.cron_expression),
        "next_fires": _next_fires(schedule, details.now) if response["next_run_at"] else [],
        "last_fire": fire_response(last_fire) if last_fire else None,
        "last_result": cast("ResultResponse", result.as_dict()) if result else None,
        "reason": explain_status(response, details, result, read_queue),
    }


def _next_fires(schedule: Schedule, now: datetime) -> list[DueTime]:
    """Return the next due times, which are calculated once until the first of them has passed."""
    next_run_at = schedule.next_run_at if schedule.next_run_at and schedule.next_run_at > now else None
    # Due times are at full minutes.
    after = next_run_at - MINUTE if next_run_at else now.replace(second=0, microsecond=0)
    return list(next_due_times(schedule.cron_expression, schedule.timezone, after))
