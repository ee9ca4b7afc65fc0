"""Is it well? The process, the API, and the whole system."""

from datetime import datetime

import psycopg2
import redis
from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from api import diagnosis, system
from api.problems import Unavailable
from api.services import services
from api.system import Fire
from worker.results import iso

blueprint = Blueprint("health", __name__)


@blueprint.get("/healthz")
def healthz() -> Response:
    """The process lives."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
def readyz() -> Response:
    """The API can serve: PostgreSQL and Redis answer."""
    away = []
    try:
        with services().database.transaction() as statements:
            statements.execute("SELECT 1")
    except psycopg2.Error:
        away.append("PostgreSQL")
    try:
        services().redis.ping()
    except redis.RedisError:
        away.append("Redis")
    if away:
        raise Unavailable(f"no answer from {' and '.join(away)}")
    return jsonify(status="ok")


@blueprint.get("/status")
def status() -> ResponseReturnValue:
    """The whole system: 503 and the reasons when something is wrong."""
    with services().database.transaction() as statements:
        found = system.look(statements)
    try:
        queue = system.queue(services().redis)
    except redis.RedisError:
        queue = None
    problems = diagnosis.problems(found, queue, services().settings.queue_age_limit)
    answer = {
        "status": "ok" if not problems else "failing",
        "problems": problems,
        "leader": {
            "name": found.leader.name,
            "since": _iso(found.leader.since),
            "looked_at": _iso(found.leader.looked_at),
            "error": found.leader.error,
        },
        "late": {
            "count": found.late.count,
            "pairs": [{**pair._asdict(), "due_at": iso(due_at)} for pair, due_at in found.late.pairs],
        },
        "errors": {
            "count": found.errors.count,
            "pairs": [{**pair._asdict(), "error": error} for pair, error in found.errors.pairs],
        },
        "queue": queue and {
            "messages": queue.messages,
            "oldest_queued_at": _iso(queue.oldest_queued_at),
            "taken": queue.taken,
            "oldest_taken_at": _iso(queue.oldest_taken_at),
        },
        "last_fire": found.last_fire and _shown(found.last_fire),
    }  # fmt: skip
    return jsonify(answer), 503 if problems else 200


def _shown(fire: Fire) -> dict[str, object]:
    return {
        "due_at": iso(fire.due_at),
        "lag_seconds": fire.lag.total_seconds(),
        "duration_seconds": None if fire.duration is None else fire.duration.total_seconds(),
        "crons": fire.crons,
        "models": fire.models,
        "messages": fire.messages,
        "skipped": fire.skipped,
    }


def _iso(instant: datetime | None) -> str | None:
    return iso(instant) if instant else None
