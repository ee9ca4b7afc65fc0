"""Redelivery of messages whose worker has died."""

import json
from pathlib import Path

import redis

from core.queue.keys import UNACKED_INDEX_KEY, UNACKED_KEY
from tests.support.celery_queue import raw_message
from tests.support.databases import MODEL, Connection, wait_for
from tests.support.workers import (
    NOON,
    QUICK_REDELIVERY,
    insert_models,
    latest_statuses,
    running_worker,
    wait_for_results,
)


def test_message_is_redelivered_although_there_is_junk_among_the_unacked_messages(
    db: Connection, env: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> None:
    """The message of a dead worker is behind the junk in the order of receipt."""
    insert_models(db, [MODEL])
    item = raw_message([MODEL], NOON)
    tag = json.loads(item)["properties"]["delivery_tag"]
    unacked = f'[{item.decode()}, "", "celery"]'
    redis_client.hset(
        UNACKED_KEY,
        mapping={
            "a": b"\xff",
            "b": "[]",
            "c": "7",
            "d": '["x", "", "celery"]',
            tag: unacked,
        },
    )
    redis_client.zadd(UNACKED_INDEX_KEY, {"a": 0, "b": 1, "c": 2, "d": 3, "none": 4, tag: 5, "late": 1e99})
    with running_worker(env | QUICK_REDELIVERY, tmp_path):
        wait_for_results(redis_client, 1, seconds=30)
        wait_for(lambda: redis_client.zrange(UNACKED_INDEX_KEY, 0, -1) == [b"late"])

    assert latest_statuses(redis_client, [MODEL]) == ["ok"]
