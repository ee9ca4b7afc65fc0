"""Invalid messages in the queue."""

import base64
import json
import uuid
from datetime import UTC, datetime
from typing import Any

from core.queue import batch
from core.queue.keys import QUEUE
from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.registry import fault

UNKNOWN_MODELS = 20_000
WRONG_ARGUMENTS: list[dict[str, Any]] = [
    {},
    {"model_ids": 5, "due_at": "yesterday"},
    {"model_ids": ["no uuid"], "due_at": "2026-01-01T00:00:00+00:00"},
    {"model_ids": None, "due_at": None, "surprise": True},
]
INVALID_JSON = [b"\x80\x02}q\x00.", b"hello", b"{}", b"[1, 2]", b'{"body": "?", "headers": 3}']


@fault("message: unknown task", "queue")
def send_unknown_task(context: FaultContext) -> None:
    push(context, celery_message("worker.no_such_task", {}))


@fault("message: wrong arguments", "queue")
def send_wrong_arguments(context: FaultContext) -> None:
    push(context, *(celery_message(batch.TASK_NAME, kwargs) for kwargs in WRONG_ARGUMENTS))


@fault("message: 20,000 unknown models", "queue")
def send_unknown_models(context: FaultContext) -> None:
    ids = [str(uuid.UUID(int=context.rng.getrandbits(128))) for _ in range(UNKNOWN_MODELS)]
    message = batch.Batch(ids, datetime.now(UTC)).message(None)
    push(context, celery_message(message.name, message.kwargs))


@fault("message: no JSON", "queue")
def send_invalid_json(context: FaultContext) -> None:
    push(context, context.rng.choice(INVALID_JSON))


def push(context: FaultContext, *messages: bytes) -> None:
    with context.system.redis_client() as client:
        client.lpush(QUEUE, *messages)


def celery_message(task: str, kwargs: dict[str, Any]) -> bytes:
    """Return a message as Celery and kombu write it to Redis."""
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
