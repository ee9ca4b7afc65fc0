"""What users and strangers do: messages that make no sense, bursts of edits, rows past the gate."""

import base64
import io
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from core.queue import batch
from core.queue.keys import QUEUE
from tests.chaos.world import World, fault
from tests.support.databases import run

MANY = 10_000
ZONES = ["UTC", "Europe/Warsaw", "Asia/Kolkata", "Australia/Lord_Howe", "America/New_York", "Africa/Casablanca"]
CHOSEN = "(SELECT id FROM metrics_executions WHERE name = 'other' ORDER BY random() LIMIT %s)"


@fault("message: unknown task", "queue")
def send_unknown_task(world: World) -> None:
    push(world, envelope("worker.no_such_task", {}))


@fault("message: wrong arguments", "queue")
def send_wrong_arguments(world: World) -> None:
    wrong: list[dict[str, Any]] = [
        {},
        {"model_ids": 5, "due_at": "yesterday"},
        {"model_ids": ["no uuid"], "due_at": "2026-01-01T00:00:00+00:00"},
        {"model_ids": None, "due_at": None, "surprise": True},
    ]
    push(world, *(envelope(batch.TASK_NAME, kwargs) for kwargs in wrong))


@fault("message: 20,000 unknown models", "queue")
def send_unknown_models(world: World) -> None:
    ids = [str(uuid.UUID(int=world.rng.getrandbits(128))) for _ in range(2 * MANY)]
    message = batch.Batch(ids, datetime.now(UTC)).message(None)
    push(world, envelope(message.name, message.kwargs))


@fault("message: no JSON", "queue")
def send_no_json(world: World) -> None:
    push(world, world.rng.choice([b"\x80\x02}q\x00.", b"hello", b"{}", b"[1, 2]", b'{"body": "?", "headers": 3}']))


@fault("10,000 inserts", "users")
def insert(world: World) -> None:
    copy(world, MANY)


@fault("10,000 new crons and zones", "users")
def update(world: World) -> None:
    cron, zone = never_due(world), world.rng.choice(ZONES)
    edit(
        world,
        "UPDATE metrics_executions SET cron_expression = id %% 60 || %s, timezone = %s WHERE id IN " + CHOSEN,
        cron[cron.index(" ") :], zone,
    )  # fmt: skip


@fault("10,000 pauses and resumptions", "users")
def pause(world: World) -> None:
    edit(world, "UPDATE metrics_executions SET enabled = NOT enabled WHERE id IN " + CHOSEN)


@fault("10,000 deletes", "users")
def delete(world: World) -> None:
    edit(world, "DELETE FROM metrics_executions WHERE id IN " + CHOSEN)


@fault("rows past the gate", "users")
def insert_past_the_gate(world: World) -> None:
    with world.stack.owner() as db:
        run(db, "SET session_replication_role = replica")
        for cron, zone in (("never", "UTC"), ("* * * *", "UTC"), ("0 0 1 1 *", "Mars/Base"), ("@reboot", "UTC")):
            run(
                db,
                "INSERT INTO metrics_executions (model_id, name, cron_expression, timezone)"
                " VALUES (gen_random_uuid(), 'past the gate', %s, %s)",
                cron, zone,
            )  # fmt: skip


def edit(world: World, statement: str, *values: str) -> None:
    """Change models that do not count; there are enough of them first."""
    with world.stack.owner() as db:
        run(db, statement, *values, MANY)


def copy(world: World, count: int) -> None:
    lines = (
        f"{uuid.UUID(int=world.rng.getrandbits(128))}\tother\t{never_due(world)}\t{world.rng.choice(ZONES)}\n"
        for _ in range(count)
    )
    with world.stack.owner() as db, db.cursor() as cursor:
        cursor.copy_expert(
            "COPY metrics_executions (model_id, name, cron_expression, timezone) FROM STDIN",
            io.StringIO("".join(lines)),
        )


def never_due(world: World) -> str:
    """Return a cron that is due once a year, and not in this half."""
    month = (datetime.now(UTC).month + 5) % 12 + 1
    return f"{world.rng.randrange(60)} {world.rng.randrange(24)} {world.rng.randint(1, 28)} {month} *"


def push(world: World, *raw: bytes) -> None:
    with world.stack.client() as client:
        client.lpush(QUEUE, *raw)


def envelope(task: str, kwargs: dict[str, Any]) -> bytes:
    """Return a message as Celery and kombu lay it into Redis."""
    task_id = str(uuid.uuid4())
    body = json.dumps([[], kwargs, {"callbacks": None, "errbacks": None, "chain": None, "chord": None}])
    message = {
        "body": base64.b64encode(body.encode()).decode(),
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": task_id, "root_id": task_id, "retries": 0, "eta": None},
        "properties": {
            "correlation_id": task_id,
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": QUEUE},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": str(uuid.uuid4()),
        },
    }
    return json.dumps(message).encode()
