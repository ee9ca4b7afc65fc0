"""Junk in the Redis keys of the queue."""

import json
from collections.abc import Sequence
from functools import partial
from typing import Any

from core.queue import batch
from core.queue.keys import QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY, UNACKED_KEY
from tests.chaos import scratch_models
from tests.chaos.faults import junk
from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.junk import NOT_UTF8
from tests.chaos.faults.queue_messages import celery_message
from tests.chaos.faults.registry import fault
from tests.chaos.scratch_models import repair

REDELIVERY_SCORES = [0.0, 1.0, -1e99, 1e99, float("inf"), float("-inf")]


@fault("junk: unacked messages", "junk in the queue")
def add_unacked(context: FaultContext) -> None:
    """Add values that are no messages, to be redelivered immediately or never."""
    unacked = {f"junk-{context.rng.getrandbits(64)}": value for value in unacked_values()}
    index = {tag: context.rng.choice(REDELIVERY_SCORES) for tag in unacked}
    index |= {f"junk-{score}": score for score in REDELIVERY_SCORES}
    index |= {NOT_UTF8.decode("latin-1"): 0.0}
    with context.system.redis_client() as client:
        client.hset(UNACKED_KEY, mapping=unacked)
        client.zadd(UNACKED_INDEX_KEY, index)
    junk.keep(context)
    repair(lambda: remove_unacked(context, list(index)))


def unacked_values() -> Sequence[bytes]:
    message, exchange, routing_key = json.loads(celery_message("worker.no_such_task", {})), "", QUEUE
    return [
        b"junk", NOT_UTF8, b"[]", b"[1, 2, 3]", b'"x"', b"{}", b"[{}, null, null]", b"[" * 10_000,
        b'[{"body": 1, "headers": [], "properties": 5}, "", "celery"]',
        json.dumps([message, exchange, routing_key]).encode(),
        json.dumps([message, "nowhere", "nowhere"]).encode(),
    ]  # fmt: skip


def remove_unacked(context: FaultContext, tags: Sequence[str]) -> None:
    with context.system.redis_client() as client:
        client.hdel(UNACKED_KEY, *tags)
        client.zrem(UNACKED_INDEX_KEY, *tags)


@fault("junk: items of the queue", "junk in the queue")
def add_queue_items(context: FaultContext) -> None:
    push_items(context, QUEUE)


@fault("junk: taken items", "junk in the queue")
def add_taken_items(context: FaultContext) -> None:
    push_items(context, TAKEN_KEY)


def push_items(context: FaultContext, name: str) -> None:
    """Push items that cannot be executed, or not for thousands of years."""
    with context.system.owner() as db:
        model_id = scratch_models.register_id(context, db)
    items = invalid_items(model_id)
    context.rng.shuffle(items)
    with context.system.redis_client() as client:
        client.rpush(name, *items)
    junk.keep(context)
    repair(partial(remove_items, context, name, items))


def invalid_items(model_id: str) -> list[bytes]:
    future: dict[str, Any] = json.loads(
        celery_message(batch.TASK_NAME, {"model_ids": [model_id], "due_at": "9000-01-01T00:00:00Z"})
    )
    future["headers"]["eta"] = "9000-01-01T00:00:00+00:00"
    other_queue: dict[str, Any] = json.loads(
        celery_message(batch.TASK_NAME, {"model_ids": [], "due_at": "2026-01-01T00:00:00Z"})
    )
    other_queue["properties"]["delivery_info"] = {"exchange": "nowhere", "routing_key": "nowhere"}
    return [
        b"junk", NOT_UTF8, b"", b"[" * 100_000, b'{"a":' * 50_000, b"{}", b"[]", b"5", b'{"headers": {}, "body": 5}',
        celery_message("worker.no_such_task", {}), json.dumps(future).encode(), json.dumps(other_queue).encode(),
        json.dumps(future | {"properties": {"delivery_tag": "junk", "delivery_info": "x"}}).encode(),
        json.dumps(future | {"body": "%%%"}).encode(),
    ]  # fmt: skip


def remove_items(context: FaultContext, name: str, items: Sequence[bytes]) -> None:
    with context.system.redis_client() as client:
        for item in items:
            client.lrem(name, 0, item)
