"""Record of the leader, and reasons not to publish."""

from collections.abc import Iterator
from typing import Any

import pytest
import redis

from core.queue.keys import QUEUE
from tests.support.celery_queue import drain_runs, published_messages
from tests.support.databases import MODEL, Connection, fetch_all, fetch_value, set_clock
from tests.support.schedulers import (
    BEFORE_NOON,
    NOON,
    LeaderAt,
    StartLeader,
    leader_error,
    run_leader_at,
    run_leader_until_idle,
)


def test_leader_records_its_leadership(db: Connection, start_leader: StartLeader) -> None:
    set_clock(db, NOON)

    start_leader()

    [(name, since, looked_at, error)] = fetch_all(db, "SELECT name, since, looked_at, error FROM leader")
    assert name == "tests"
    assert since == looked_at == fetch_value(db, f"SELECT '{NOON}'::timestamptz")
    assert error is None


def test_nothing_is_published_to_a_full_queue_and_the_latest_due_time_stands_in(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON, QUEUE_LIMIT="2")
    redis_client.lpush(QUEUE, "{}", "{}", "{}")
    run_leader_at(db, leader, "12:00", "12:01", "12:02")
    assert redis_client.llen(QUEUE) == 3
    assert leader_error(db) == "3 messages wait in Redis; QUEUE_LIMIT is 2"

    redis_client.delete(QUEUE)
    run_leader_until_idle(leader)

    assert drain_runs(redis_client) == [(MODEL, "12:02")]
    assert fetch_value(db, "SELECT sum(skipped) FROM fires") == 2
    assert fetch_value(db, "SELECT error FROM leader") is None


@pytest.fixture
def nearly_full_redis(redis_client: redis.Redis) -> Iterator[redis.Redis]:
    memory: Any = redis_client.info("memory")
    redis_client.config_set("maxmemory", int(memory["used_memory"] * 1.05))
    yield redis_client
    redis_client.config_set("maxmemory", 0)


def test_nothing_is_published_to_a_redis_that_is_nearly_full(
    db: Connection, leader_at: LeaderAt, nearly_full_redis: redis.Redis
) -> None:
    """The rest is for the workers: they need memory to receive a message and to store a result."""
    leader = leader_at(BEFORE_NOON)
    run_leader_at(db, leader, "12:00")
    assert published_messages(nearly_full_redis) == []
    assert "Redis is nearly full" in leader_error(db)

    nearly_full_redis.config_set("maxmemory", 0)
    run_leader_until_idle(leader)

    assert drain_runs(nearly_full_redis) == [(MODEL, "12:00")]
    assert fetch_value(db, "SELECT error FROM leader") is None
