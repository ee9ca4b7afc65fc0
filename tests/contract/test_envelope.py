"""The scheduler writes messages without Celery: a stock Celery reads in them what it would have sent itself."""

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
PATHS_OF_ONE = {  # what each message has of its own, or nobody acts upon
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
    """Return what a message says, by where it says it."""
    if not isinstance(part, dict) or not part:
        return {path: part}
    return {key: value for name, inner in part.items() for key, value in leaves(inner, *path, name).items()}


def received(stock: Celery) -> Any:
    """Take a message as kombu does."""
    with stock.connection_for_read() as connection:
        return connection.default_channel.basic_get(QUEUE, no_ack=True)


@pytest.mark.parametrize("message", MESSAGES)
def test_it_lies_in_the_queue_as_one_that_celery_sent(
    stock: Celery, redis_client: redis.Redis, message: batch.TaskMessage
) -> None:
    stock.send_task(**message._asdict())
    raw: Any = redis_client.rpop(QUEUE)
    sent = leaves(json.loads(raw))

    written = leaves(json.loads(celery_message.encode(message)))

    assert written.keys() == sent.keys()
    assert {path: value for path, value in written.items() if path not in PATHS_OF_ONE} == {
        path: value for path, value in sent.items() if path not in PATHS_OF_ONE
    }
    for path in PATHS_OF_ONE:
        assert type(written[path]) is type(sent[path])
    assert written["headers", "id"] == written["headers", "root_id"] == written["properties", "correlation_id"]
    assert written["headers", "kwargsrepr"][:60] == sent["headers", "kwargsrepr"][:60]


@pytest.mark.parametrize("message", MESSAGES)
def test_a_stock_worker_takes_the_same_call_from_it(
    stock: Celery, redis_client: redis.Redis, message: batch.TaskMessage
) -> None:
    redis_client.lpush(QUEUE, celery_message.encode(message))
    ours = received(stock)
    stock.send_task(**message._asdict())
    theirs = received(stock)

    assert ours.decode() == theirs.decode()
    assert ours.delivery_info == theirs.delivery_info
    context = Context(ours.headers)
    assert (context.task, context.id, context.retries) == (message.name, ours.properties["correlation_id"], 0)
    assert (context.eta, context.expires, context.timelimit) == (None, None, [None, None])
    assert {name: ours.headers[name] for name in message.headers} == message.headers


def test_our_worker_takes_it_and_no_two_are_the_same() -> None:
    first, second = (celery_message.decode(celery_message.encode(MESSAGES[0])) for _ in range(2))

    assert first["body"] == second["body"]
    assert first["headers"]["id"] != second["headers"]["id"]
    assert first["properties"]["delivery_tag"] != second["properties"]["delivery_tag"]
