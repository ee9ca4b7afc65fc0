"""Messages in Celery's queue."""

import base64
import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

import redis

from core.queue import batch, celery_message
from core.queue.batch import Batch
from core.queue.keys import QUEUE


def raw_message(model_ids: Sequence[str], due_at: datetime) -> bytes:
    """Return a message of the task as it is stored in the queue."""
    return celery_message.encode(Batch(model_ids, due_at).message(due_at))


def published_messages(client: redis.Redis) -> list[dict[str, Any]]:
    """Return the arguments of the messages in the queue, the oldest first."""
    return list(_decode_messages(client))


def drain_queue(client: redis.Redis) -> list[dict[str, Any]]:
    """Return the arguments of the messages in the queue, and empty it, as a worker would."""
    messages = published_messages(client)
    client.delete(QUEUE)
    return messages


def published_models(client: redis.Redis) -> list[str]:
    """Return the models of all messages in the queue, the oldest first."""
    return [model_id for message in published_messages(client) for model_id in message["model_ids"]]


def drain_runs(client: redis.Redis) -> list[tuple[str, str]]:
    """Return (model, minute of the due time) for all runs in the queue, the oldest first, and empty it."""
    return [(model, message["due_at"][11:16]) for message in drain_queue(client) for model in message["model_ids"]]


def _decode_messages(client: redis.Redis) -> Iterator[dict[str, Any]]:
    raw_messages: Any = client.lrange(QUEUE, 0, -1)
    for raw in reversed(raw_messages):
        message = json.loads(raw)
        assert message["headers"]["task"] == batch.TASK_NAME
        _, kwargs, _ = json.loads(base64.b64decode(message["body"]))
        yield kwargs
