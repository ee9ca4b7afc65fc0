"""Health endpoints: the process, the API, and the whole system."""

import psycopg2
import redis
from flask import Blueprint, Response, jsonify
from flask.typing import ResponseReturnValue

from api.backends import backends
from api.contract.operation import Operation, ResponseSpec, operation
from api.problems import ServiceUnavailable
from api.status import diagnosis, prometheus, snapshot
from api.status.schemas import Healthy, SystemStatus
from api.status.serializers import system_status

blueprint = Blueprint("health", __name__)
blueprint.register_blueprint(prometheus.blueprint)


@blueprint.get("/healthz")
@operation(Operation({200: ResponseSpec("The process is alive.", Healthy)}, needs_backends=False))
def healthz() -> Response:
    """Check that the process is alive."""
    return jsonify(status="ok")


@blueprint.get("/readyz")
@operation(Operation({200: ResponseSpec("The API is ready.", Healthy)}))
def readyz() -> Response:
    """Check that the API can serve: PostgreSQL and Redis respond."""
    unavailable = []
    try:
        with backends().database.autocommit() as cur:
            cur.execute("SELECT 1")
    except psycopg2.Error:
        unavailable.append("PostgreSQL")
    try:
        backends().redis.ping()
    except redis.RedisError:
        unavailable.append("Redis")
    if unavailable:
        raise ServiceUnavailable(f"no answer from {' and '.join(unavailable)}")
    return jsonify(status="ok")


@blueprint.get("/status")
@operation(
    Operation(
        {
            200: ResponseSpec("The system works.", SystemStatus),
            503: ResponseSpec("There are problems.", SystemStatus),
        }
    )
)
def status() -> ResponseReturnValue:
    """Get the status of the whole system: 503 and the problems where there are any."""
    with backends().database.transaction() as cur:
        system = snapshot.read_snapshot(cur)
    try:
        queue = snapshot.read_queue(backends().redis)
    except redis.RedisError:
        queue = None
    problems = diagnosis.problems(system, queue, backends().settings.queue_age_limit)
    return jsonify(system_status(system, queue, problems)), 503 if problems else 200
