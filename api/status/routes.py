"""Is it well? The process, the API, and the whole system."""

import psycopg2
import redis
from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from api.backends import backends
from api.contract.operation import Operation, ResponseSpec, operation
from api.contract.response_fields import format_timestamp
from api.problems import ServiceUnavailable
from api.status import diagnosis, snapshot
from api.status.schemas import Healthy, SystemFire, SystemStatus
from api.status.snapshot import Fire
from core.timestamps import iso

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
@operation(Operation({200: ResponseSpec("It lives.", Healthy)}, needs_backends=False))
def healthz() -> Response:
    """The process lives."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@operation(Operation({200: ResponseSpec("It can serve.", Healthy)}))
def readyz() -> Response:
    """The API can serve: PostgreSQL and Redis answer."""
    away = []
    try:
        with backends().database.autocommit() as statements:
            statements.execute("SELECT 1")
    except psycopg2.Error:
        away.append("PostgreSQL")
    try:
        backends().redis.ping()
    except redis.RedisError:
        away.append("Redis")
    if away:
        raise ServiceUnavailable(f"no answer from {' and '.join(away)}")
    return jsonify(status="ok")


@blueprint.get("/status")
@operation(
    Operation({200: ResponseSpec("All is well.", SystemStatus), 503: ResponseSpec("Something is wrong.", SystemStatus)})
)
def status() -> ResponseReturnValue:
    """The whole system: 503 and the reasons when something is wrong."""
    with backends().database.transaction() as statements:
        found = snapshot.look(statements)
    try:
        queue = snapshot.queue(backends().redis)
    except redis.RedisError:
        queue = None
    problems = diagnosis.problems(found, queue, backends().settings.queue_age_limit)
    answer: SystemStatus = {
        "status": "ok" if not problems else "failing",
        "problems": problems,
        "leader": {
            "name": found.leader.name,
            "since": format_timestamp(found.leader.since),
            "looked_at": format_timestamp(found.leader.looked_at),
            "error": found.leader.error,
        },
        "late": {
            "count": found.late.count,
            "pairs": [
                {"cron_expression": pair.cron_expression, "timezone": pair.timezone, "due_at": iso(due_at)}
                for pair, due_at in found.late.pairs
            ],
        },
        "errors": {
            "count": found.errors.count,
            "pairs": [
                {"cron_expression": pair.cron_expression, "timezone": pair.timezone, "error": error}
                for pair, error in found.errors.pairs
            ],
        },
        "queue": queue
        and {
            "messages": queue.messages,
            "oldest_queued_at": format_timestamp(queue.oldest_queued_at),
            "taken": queue.taken,
            "oldest_taken_at": format_timestamp(queue.oldest_taken_at),
        },
        "last_fire": found.last_fire and _shown(found.last_fire),
    }
    return jsonify(answer), 503 if problems else 200


def _shown(fire: Fire) -> SystemFire:
    return {
        "due_at": iso(fire.due_at),
        "lag_seconds": fire.lag.total_seconds(),
        "duration_seconds": None if fire.duration is None else fire.duration.total_seconds(),
        "crons": fire.crons,
        "models": fire.models,
        "messages": fire.messages,
        "skipped": fire.skipped,
    }
