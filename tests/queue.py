"""What lies in Celery's queue."""

import base64
import json
from collections.abc import Iterator
from typing import Any

import redis

from worker import messages


def sent(client: redis.Redis) -> list[dict[str, Any]]:
    """Return the arguments of the messages in the queue, the oldest first."""
    return list(_sent(client))


def taken(client: redis.Redis) -> list[dict[str, Any]]:
    """Return the same, and empty the queue, as a worker would."""
    found = sent(client)
    client.delete(messages.QUEUE)
    return found


def _sent(client: redis.Redis) -> Iterator[dict[str, Any]]:
    raw: Any = client.lrange(messages.QUEUE, 0, -1)
    for message in reversed(raw):
        envelope = json.loads(message)
        assert envelope["headers"]["task"] == messages.CALCULATE
        _, kwargs, _ = json.loads(base64.b64decode(envelope["body"]))
        yield kwargs
