"""Publication of messages, and maintenance of the keys in Redis."""

from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis

from core.queue.keys import CHECKPOINT_KEY, QUEUE
from core.results.keys import FAILING_KEY, results_key
from scheduler.queue import PUSH_SIZE, Queue, SentCounts
from tests.support.celery_queue import published_messages
from tests.support.databases import MODEL, Connection, model_ids
from tests.support.schedulers import BEFORE_NOON, LeaderAt, StartLeader, run_leader_at, run_leader_until_idle

DUE_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_first_message_is_published_at_once_and_the_others_together(redis_client: redis.Redis) -> None:
    ids = model_ids(2 * PUSH_SIZE)
    queue_lengths = []

    def batches() -> Iterator[list[str]]:
        for model_id in ids:
            yield [model_id]
            queue_lengths.append(redis_client.llen(QUEUE))

    counts = Queue(redis_client).send_models(batches(), DUE_AT, DUE_AT)

    assert counts == SentCounts(models=2 * PUSH_SIZE, messages=2 * PUSH_SIZE)
    assert queue_lengths == [1] * PUSH_SIZE + [1 + PUSH_SIZE] * PUSH_SIZE
    assert [message["model_ids"] for message in published_messages(redis_client)] == [[model_id] for model_id in ids]


@pytest.mark.parametrize("name", [QUEUE, CHECKPOINT_KEY, FAILING_KEY, "unacked", "unacked_index", "celery:taken"])
def test_shared_key_of_another_type_is_deleted(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    leader = leader_at(BEFORE_NOON)
    redis_client.delete(name)
    redis_client.xadd(name, {"a": "b"})
    run_leader_at(db, leader, "12:00")

    assert [message["model_ids"] for message in published_messages(redis_client)] == [[MODEL]]
    if name in {QUEUE, CHECKPOINT_KEY}:
        assert f"{name} (stream)" in caplog.text


def test_failing_models_whose_results_have_expired_are_deleted(
    start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    expired = {f"00000000-0000-4000-8000-{number:012}": float(number) for number in range(2500)}
    redis_client.zadd(FAILING_KEY, expired | {MODEL: 1.0})
    redis_client.zadd(FAILING_KEY, {b"\xff junk": 2.0})
    redis_client.zadd(results_key(MODEL), {"[]": 1.0})

    run_leader_until_idle(start_leader(cleanup_interval=0.0))

    assert redis_client.zrange(FAILING_KEY, 0, -1) == [MODEL.encode()]
