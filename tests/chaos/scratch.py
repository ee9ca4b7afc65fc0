"""Scratch models: junk is put where theirs is, and nothing is promised of them."""

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic, sleep
from typing import Any

import psycopg2
import redis

from core.results.keys import confusion_key, results_key
from tests.chaos.evidence import COUNTED, CRON, ZONES
from tests.chaos.world import World
from tests.support.databases import Connection, past_the_triggers, rows, run

SETUP = "CREATE TABLE chaos.scratch (model_id uuid PRIMARY KEY)"
NAME = "scratch"
REPAIR_TIMEOUT = 60.0  # seconds
RETRY_INTERVAL = 0.2  # seconds


def new_id(world: World, db: Connection) -> str:
    """Return the id of a new scratch model, which has no row yet."""
    model_id = str(uuid.UUID(int=world.rng.getrandbits(128)))
    run(db, "INSERT INTO chaos.scratch VALUES (%s)", model_id)
    return model_id


@contextmanager
def model(world: World, timestamp: str = "now") -> Iterator[str]:
    """A scratch model that is due every minute; its row of labels has the timestamp."""
    with world.stack.owner() as db:
        model_id = new_id(world, db)
        run(
            db,
            "INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%s, '[0, 1]', '[0, 1]', %s)",
            model_id, timestamp,
        )  # fmt: skip
        run(
            db,
            "INSERT INTO metrics_executions (model_id, name, cron_expression, timezone) VALUES (%s, %s, %s, %s)",
            model_id, NAME, CRON, world.rng.choice(ZONES),
        )  # fmt: skip
    try:
        yield model_id
    finally:
        repair(lambda: _delete(world, model_id))


@contextmanager
def row_past_the_triggers(world: World, **values: Any) -> Iterator[None]:
    """A row of a scratch model that no trigger and no constraint of another table has looked at."""
    values = {"name": NAME, "cron_expression": "@yearly", "timezone": "UTC", **values}
    with world.stack.owner() as db:
        model_id = new_id(world, db)
        names = ", ".join(values)
        places = ", ".join(["%s"] * (1 + len(values)))
        with past_the_triggers(db):
            run(db, f"INSERT INTO metrics_executions (model_id, {names}) VALUES ({places})", model_id, *values.values())
    try:
        yield
    finally:
        repair(lambda: _delete(world, model_id))


def request_runs(world: World, model_ids: Sequence[str]) -> None:
    """Ask for a run of each model, at times of their own, so that each has a message of its own."""
    with world.stack.owner() as db:
        for model_id in model_ids:
            run(db, "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s", model_id)


def _delete(world: World, model_id: str) -> None:
    with world.stack.owner() as db, world.stack.client() as client:
        run(db, "DELETE FROM metrics_executions WHERE model_id = %s", model_id)
        run(db, "DELETE FROM results WHERE model_id = %s", model_id)
        client.delete(results_key(model_id), confusion_key(model_id))


def counted(world: World, count: int) -> Sequence[str]:
    """Return the ids of some models that the ledger counts."""
    with world.stack.owner() as db:
        found = rows(db, "SELECT model_id::text FROM metrics_executions WHERE name = %s ORDER BY model_id", COUNTED)
    return [model_id for (model_id,) in world.rng.sample(found, count)]


def repair(step: Any) -> None:
    """Undo damage, also where a server is away at present."""
    deadline = monotonic() + REPAIR_TIMEOUT
    while True:
        try:
            step()
        except (psycopg2.Error, redis.RedisError, OSError):
            if monotonic() > deadline:
                raise
            sleep(RETRY_INTERVAL)
        else:
            return
