"""What lies in Celery's queue."""

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
    """Return a message of the task as it lies in the queue."""
    return celery_message.encode(Batch(model_ids, due_at).message(due_at))


def sent(client: redis.Redis) -> list[dict[str, Any]]:
    """Return the arguments of the messages in the queue, the oldest first."""
    return list(_sent(client))


def taken(client: redis.Redis) -> list[dict[str, Any]]:
    """Return the same, and empty the queue, as a worker would."""
    found = sent(client)
    client.delete(QUEUE)
    return found


def _sent(client: redis.Redis) -> Iterator[dict[str, Any]]:
    raw: Any = client.lrange(QUEUE, 0, -1)
    for message in reversed(raw):
        envelope = json.loads(message)
        assert envelope["headers"]["task"] == batch.TASK_NAME
        _, kwargs, _ = json.loads(base64.b64decode(envelope["body"]))
        yield kwargs
