"""Scratch models: junk is written to their rows and keys, and their results are not counted."""

import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import psycopg2
import redis

from core.results.keys import confusion_key, results_key
from tests.chaos import counted_models
from tests.chaos.faults.context import FaultContext
from tests.support.databases import Connection, bypass_triggers, execute, fetch_all

NAME = "scratch"
REPAIR_TIMEOUT = 60.0  # seconds
RETRY_INTERVAL = 0.2  # seconds

DDL = "CREATE TABLE chaos.scratch_models (model_id uuid PRIMARY KEY)"
INSERT_LABELS = """
    INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%(model_id)s, '[0, 1]', '[0, 1]', %(timestamp)s)
"""
INSERT_SCHEDULE = """
    INSERT INTO metrics_executions (model_id, name, cron_expression, timezone)
    VALUES (%(model_id)s, %(name)s, %(cron)s, %(zone)s)
"""
# One statement for each model, so that the times of the requests, and thereby the messages, differ.
REQUEST_RUN = "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s"


def register_id(context: FaultContext, db: Connection) -> str:
    """Return the id of a new scratch model, without any row."""
    model_id = str(uuid.UUID(int=context.rng.getrandbits(128)))
    execute(db, "INSERT INTO chaos.scratch_models VALUES (%s)", model_id)
    return model_id


def model_ids(db: Connection) -> set[str]:
    return {model_id for (model_id,) in fetch_all(db, "SELECT model_id::text FROM chaos.scratch_models")}


@contextmanager
def scratch_model(context: FaultContext, timestamp: str = "now") -> Iterator[str]:
    """A scratch model that is due every minute; its label row has the timestamp."""
    with context.system.owner() as db:
        model_id = register_id(context, db)
        execute(db, INSERT_LABELS, {"model_id": model_id, "timestamp": timestamp})
        zone = context.rng.choice(counted_models.TIME_ZONES)
        execute(db, INSERT_SCHEDULE, {"model_id": model_id, "name": NAME, "cron": counted_models.CRON, "zone": zone})
    try:
        yield model_id
    finally:
        repair(lambda: _delete(context, model_id))


@contextmanager
def unvalidated_row(context: FaultContext, **values: Any) -> Iterator[None]:
    """A schedule of a scratch model, inserted without triggers and foreign keys."""
    values = {"name": NAME, "cron_expression": "@yearly", "timezone": "UTC", **values}
    with context.system.owner() as db:
        model_id = register_id(context, db)
        columns = ", ".join(values)
        placeholders = ", ".join(["%s"] * (1 + len(values)))
        statement = f"INSERT INTO metrics_executions (model_id, {columns}) VALUES ({placeholders})"
        with bypass_triggers(db):
            execute(db, statement, model_id, *values.values())
    try:
        yield
    finally:
        repair(lambda: _delete(context, model_id))


def request_runs(context: FaultContext, ids: Sequence[str]) -> None:
    """Request a run of each model, each in a message of its own."""
    with context.system.owner() as db:
        for model_id in ids:
            execute(db, REQUEST_RUN, model_id)


def _delete(context: FaultContext, model_id: str) -> None:
    with context.system.owner() as db, context.system.redis_client() as client:
        execute(db, "DELETE FROM metrics_executions WHERE model_id = %s", model_id)
        execute(db, "DELETE FROM results WHERE model_id = %s", model_id)
        client.delete(results_key(model_id), confusion_key(model_id))


def repair(action: Callable[[], object]) -> None:
    """Undo damage; retries while a server is unavailable."""
    deadline = monotonic() + REPAIR_TIMEOUT
    while True:
        try:
            action()
        except (psycopg2.Error, redis.RedisError, OSError):
            if monotonic() > deadline:
                raise
            sleep(RETRY_INTERVAL)
        else:
            return
