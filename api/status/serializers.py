"""Serializers of the system status and of fires."""

from api.contract.response_fields import format_timestamp, to_seconds
from api.status.schemas import FireResponse, SystemFire, SystemStatus
from api.status.snapshot import Fire, QueueState, SystemSnapshot
from core.timestamps import iso


def fire_response(fire: Fire) -> FireResponse:
    """Return a fire, as it is shown with one of its schedules."""
    return {
        "due_at": iso(fire.due_at),
        "lag_seconds": to_seconds(fire.lag),
        "duration_seconds": to_seconds(fire.duration),
        "models": fire.models,
        "skipped": fire.skipped,
    }


def system_status(snapshot: SystemSnapshot, queue: QueueState | None, problems: list[str]) -> SystemStatus:
    """Return the status of the whole system; queue is None where Redis is unavailable."""
    leader, late, failing = snapshot.leader, snapshot.late, snapshot.failing
    return {
        "status": "failing" if problems else "ok",
        "problems": problems,
        "leader": {
            "name": leader.name,
            "since": format_timestamp(leader.since),
            "looked_at": format_timestamp(leader.looked_at),
            "error": leader.error,
        },
        "late": {
            "count": late.count,
            "pairs": [
                {"cron_expression": spec.cron_expression, "timezone": spec.timezone, "due_at": iso(spec.due_at)}
                for spec in late.listed
            ],
        },
        "errors": {
            "count": failing.count,
            "pairs": [
                {"cron_expression": spec.cron_expression, "timezone": spec.timezone, "error": spec.error}
                for spec in failing.listed
            ],
        },
        "queue": queue
        and {
            "messages": queue.messages,
            "oldest_queued_at": format_timestamp(queue.oldest_queued_at),
            "taken": queue.taken,
            "oldest_taken_at": format_timestamp(queue.oldest_taken_at),
        },
        "last_fire": snapshot.last_fire and _system_fire(snapshot.last_fire),
    }


def _system_fire(fire: Fire) -> SystemFire:
    return {**fire_response(fire), "crons": fire.crons, "messages": fire.messages}
