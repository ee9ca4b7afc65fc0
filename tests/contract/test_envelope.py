"""Messages that the scheduler encodes without Celery, compared with those of an unmodified Celery."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from celery import Celery
from celery.app.task import Context

from core.queue import batch, celery_message
from core.queue.batch import Batch
from core.queue.keys import QUEUE
from tests.support.databases import model_ids

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MESSAGES = [
    Batch(model_ids(1), NOON).message(queued_at=NOON),
    Batch(model_ids(100), NOON, requested=True).message(queued_at=None),
]
UNIQUE_PATHS = {  # differ between messages, or are not used
    ("headers", "id"),
    ("headers", "root_id"),
    ("headers", "kwargsrepr"),
    ("properties", "correlation_id"),
    ("properties", "delivery_tag"),
    ("properties", "reply_to"),
}


@pytest.fixture
def stock(redis_url: str) -> Iterator[Celery]:
    """An application with Celery's own transport and settings."""
    with Celery("stock", broker=redis_url) as app:
        yield app


def leaves(part: Any, *path: str) -> dict[tuple[str, ...], Any]:
    """Return the values of a message by their paths."""
    if not isinstance(part, dict) or not part:
        return {path: part}
    return {key: value for name, inner in part.items() for key, value in leaves(inner, *path, name).items()}


def receive(stock: Celery) -> Any:
    """Receive a message with kombu."""
    with stock.connection_for_read() as connection:
        return connection.default_channel.basic_get(QUEUE, no_ack=True)


@pytest.mark.parametrize("message", MESSAGES)
def test_encoded_message_equals_one_that_celery_sent(
    stock: Celery, redis_client: redis.Redis, message: batch.TaskMessage
) -> None:
    stock.send_task(**message._asdict())
    raw: Any = redis_client.rpop(QUEUE)
    sent = leaves(json.loads(raw))

    written = leaves(json.loads(celery_message.encode(message)))

    assert written.keys() == sent.keys()
    assert {path: value for path, value in written.items() if path not in UNIQUE_PATHS} == {
        path: value for path, value in sent.items() if path not in UNIQUE_PATHS
    }
    for path in UNIQUE_PATHS:
        assert type(written[path]) is type(sent[path])
    assert written["headers", "id"] == written["headers", "root_id"] == written["properties", "correlation_id"]
    assert written["headers", "kwargsrepr"][:60] == sent["headers", "kwargsrepr"][:60]


@pytest.mark.parametrize("message", MESSAGES)
def test_unmodified_celery_reads_the_same_task_call(
    stock: Celery, redis_client: redis.Redis, message: batch.TaskMessage
) -> None:
    redis_client.lpush(QUEUE, celery_message.encode(message))
    own = receive(stock)
    stock.send_task(**message._asdict())
    reference = receive(stock)

    assert own.decode() == reference.decode()
    assert own.delivery_info == reference.delivery_info
    context = Context(own.headers)
    assert (context.task, context.id, context.retries) == (message.name, own.properties["correlation_id"], 0)
    assert (context.eta, context.expires, context.timelimit) == (None, None, [None, None])
    assert {name: own.headers[name] for name in message.headers} == message.headers


def test_decoded_messages_have_unique_ids() -> None:
    first, second = (celery_message.decode(celery_message.encode(MESSAGES[0])) for _ in range(2))

    assert first["body"] == second["body"]
    assert first["headers"]["id"] != second["headers"]["id"]
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]
