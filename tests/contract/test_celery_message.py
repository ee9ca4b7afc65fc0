"""Messages that are encoded without Celery, compared with those of a stock Celery."""

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
UNIQUE_PATHS = {  # differ between any two messages, or are not used
    ("headers", "id"),
    ("headers", "root_id"),
    ("headers", "kwargsrepr"),
    ("properties", "correlation_id"),
    ("properties", "delivery_tag"),
    ("properties", "reply_to"),
}


@pytest.fixture
def stock_app(redis_url: str) -> Iterator[Celery]:
    """An application with Celery's default transport and settings."""
    with Celery("stock", broker=redis_url) as app:
        yield app


def leaves(part: Any, *path: str) -> dict[tuple[str, ...], Any]:
    """Return the leaf values of a message by their paths."""
    if not isinstance(part, dict) or not part:
        return {path: part}
    return {key: value for name, inner in part.items() for key, value in leaves(inner, *path, name).items()}


def receive(stock_app: Celery) -> Any:
    """Receive a message as kombu does."""
    with stock_app.connection_for_read() as connection:
        return connection.default_channel.basic_get(QUEUE, no_ack=True)


@pytest.mark.parametrize("message", MESSAGES)
def test_encoded_message_equals_one_sent_by_celery(
    stock_app: Celery, redis_client: redis.Redis, message: batch.TaskMessage
) -> None:
    stock_app.send_task(**message._asdict())
    raw: Any = redis_client.rpop(QUEUE)
    expected = leaves(json.loads(raw))

    encoded = leaves(json.loads(celery_message.encode(message)))

    assert encoded.keys() == expected.keys()
    assert {path: value for path, value in encoded.items() if path not in UNIQUE_PATHS} == {
        path: value for path, value in expected.items() if path not in UNIQUE_PATHS
    }
    for path in UNIQUE_PATHS:
        assert type(encoded[path]) is type(expected[path])
    assert encoded["headers", "id"] == encoded["headers", "root_id"] == encoded["properties", "correlation_id"]
    assert encoded["headers", "kwargsrepr"][:60] == expected["headers", "kwargsrepr"][:60]


@pytest.mark.parametrize("message", MESSAGES)
def test_stock_worker_decodes_the_same_call(
    stock_app: Celery, redis_client: redis.Redis, message: batch.TaskMessage
) -> None:
    redis_client.lpush(QUEUE, celery_message.encode(message))
    message_of_scheduler = receive(stock_app)
    stock_app.send_task(**message._asdict())
    message_of_celery = receive(stock_app)

    assert message_of_scheduler.decode() == message_of_celery.decode()
    assert message_of_scheduler.delivery_info == message_of_celery.delivery_info
    context = Context(message_of_scheduler.headers)
    assert (context.task, context.id, context.retries) == (
        message.name,
        message_of_scheduler.properties["correlation_id"],
        0,
    )
    assert (context.eta, context.expires, context.timelimit) == (None, None, [None, None])
    assert {name: message_of_scheduler.headers[name] for name in message.headers} == message.headers


def test_worker_decodes_encoded_messages_which_have_unique_ids() -> None:
    first, second = (celery_message.decode(celery_message.encode(MESSAGES[0])) for _ in range(2))

    assert first["body"] == second["body"]
    assert first["headers"]["id"] != second["headers"]["id"]
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]
