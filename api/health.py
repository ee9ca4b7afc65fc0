"""Is it well? The process, the API, and the whole system."""

from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg2
import redis
from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from api import store
from api.problems import Unavailable
from api.services import services
from api.store import System
from worker import messages
from worker.results import iso

blueprint = Blueprint("health", __name__)

SILENT_AFTER = timedelta(seconds=30)  # the leader looks every few seconds
LATE_AFTER = 30.0  # seconds
QUEUE_AGE_LIMIT = timedelta(minutes=5)


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
        system = store.system(statements, LATE_AFTER)
        fire = store.last_fire(statements)
    queue = _queue()
    problems = _problems(system, queue)
    answer = {
        "status": "ok" if not problems else "failing",
        "problems": problems,
        "leader": {
            "name": system.leader,
            "since": system.since and iso(system.since),
            "looked_at": system.looked_at and iso(system.looked_at),
            "error": system.error,
        },
        "late": system.late,
        "errors": system.errors,
        "queue": queue and {
            "messages": queue.messages,
            "oldest_due_at": queue.oldest_due_at and iso(queue.oldest_due_at),
        },
        "last_fire": fire and {
            "due_at": iso(fire.due_at),
            "lag_seconds": (fire.fired_at - fire.due_at).total_seconds(),
            "crons": fire.crons,
            "models": fire.models,
            "messages": fire.messages,
            "skipped": fire.skipped,
        },
    }  # fmt: skip
    return jsonify(answer), 503 if problems else 200


class Queue(NamedTuple):
    """What waits for the workers, and the moment of the message that comes next."""

    messages: int
    oldest_due_at: datetime | None


def _queue() -> Queue | None:
    """Return the queue; None where Redis does not say."""
    try:
        with services().redis.pipeline(transaction=False) as pipeline:
            pipeline.llen(messages.QUEUE)
            pipeline.lindex(messages.QUEUE, -1)  # the next one to be taken
            waiting, oldest = pipeline.execute()
    except redis.RedisError:
        return None
    return Queue(waiting, messages.due_at_of(oldest) if oldest else None)


def _problems(system: System, queue: Queue | None) -> list[str]:
    problems = []
    if system.looked_at is None or system.looked_at < system.now - SILENT_AFTER:
        problems.append("no scheduler has looked for due models for 30 seconds")
    if system.error:
        problems.append(f"the scheduler cannot send: {system.error}")
    if system.late:
        problems.append(f"{system.late} pairs of cron expression and time zone are late")
    if system.errors:
        problems.append(f"{system.errors} pairs of cron expression and time zone cannot run: table crons says why")
    if queue is None:
        problems.append("Redis does not answer")
    elif queue.oldest_due_at and queue.oldest_due_at < system.now - QUEUE_AGE_LIMIT:
        problems.append(f"messages wait for the workers since {iso(queue.oldest_due_at)}")
    return problems
