"""Recovery after Redis has lost messages: the checkpoint shows which due times are published again."""

import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import pytest
import redis

from core.queue.keys import CHECKPOINT_KEY, QUEUE
from scheduler.leader import Leader
from scheduler.queue import Queue, SentCounts
from scheduler.settings import Settings
from tests.support.celery_queue import drain_queue, drain_runs
from tests.support.databases import MODEL, OTHER, Connection, execute, fetch_value, model_ids, schedule, set_clock
from tests.support.schedulers import (
    BEFORE_NOON,
    SETTINGS,
    LeaderAt,
    StartLeader,
    run_leader_at,
    run_leader_until_idle,
    set_minute,
)


def test_empty_redis_gets_the_last_due_time_of_every_cron_spec_again(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON, {MODEL: "0 12 * * *", OTHER: "* * * * *"})
    run_leader_at(db, leader, "12:00", "12:01")
    redis_client.flushall()
    run_leader_until_idle(leader)

    assert drain_runs(redis_client) == [(OTHER, "12:01"), (MODEL, "12:00")]
    run_leader_until_idle(leader)
    assert drain_runs(redis_client) == []


def test_redis_that_lost_the_last_minutes_gets_their_due_times_again(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON)
    run_leader_at(db, leader, "12:00", "12:01", "12:02", "12:03")
    redis_client.delete(QUEUE)
    redis_client.set(CHECKPOINT_KEY, "2026-11-24T12:01:00+00:00")

    run_leader_until_idle(start_leader())

    assert drain_runs(redis_client) == [(MODEL, "12:03"), (MODEL, "12:02")]


class LossyQueue(Queue):
    """Queue in a Redis that loses all its data after a publication, before the checkpoint is saved."""

    loses_next = False

    def send_models(self, batches: Iterable[Sequence[str]], due_at: datetime, now: datetime) -> SentCounts:
        counts = super().send_models(batches, due_at, now)
        if self.loses_next:
            self._client.flushall()
            self.loses_next = False
        return counts


def test_redis_that_loses_messages_during_publication_gets_them_again(
    db: Connection, session: Connection, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    queue = LossyQueue(redis_client)
    leader = Leader(session, queue, Settings.from_env(SETTINGS), "tests")
    run_leader_until_idle(leader)
    run_leader_at(db, leader, "12:00")
    drain_queue(redis_client)

    queue.loses_next = True
    run_leader_at(db, leader, "12:01")

    assert drain_runs(redis_client) == [(MODEL, "12:01")]


@pytest.mark.parametrize("checkpoint", [None, "2026-11-24T11:59:30+00:00"])
def test_lost_due_time_is_published_again_although_a_later_one_goes_first(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis, checkpoint: str | None
) -> None:
    leader = leader_at(BEFORE_NOON)
    run_leader_at(db, leader, "12:00")
    redis_client.flushall()
    if checkpoint:
        redis_client.set(CHECKPOINT_KEY, checkpoint)

    run_leader_at(db, leader, "12:01")

    assert drain_runs(redis_client) == [(MODEL, "12:01"), (MODEL, "12:00")]


@pytest.fixture
def recovering_leader(db: Connection, leader_at: LeaderAt, redis_client: redis.Redis) -> Leader:
    """A leader that has published one of the two due times again that Redis has lost."""
    leader = leader_at(BEFORE_NOON, {MODEL: "0 12 * * *", OTHER: "* * * * *"})
    run_leader_at(db, leader, "12:00", "12:01")
    redis_client.flushall()
    leader.step()
    assert drain_runs(redis_client) == [(OTHER, "12:01")]
    return leader


def test_redis_that_loses_data_again_during_recovery_gets_everything_again(
    recovering_leader: Leader, redis_client: redis.Redis
) -> None:
    redis_client.flushall()

    run_leader_until_idle(recovering_leader)

    assert drain_runs(redis_client) == [(OTHER, "12:01"), (MODEL, "12:00")]


def test_recovery_is_started_again_by_another_leader(
    recovering_leader: Leader, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    run_leader_until_idle(start_leader())

    assert drain_runs(redis_client) == [(OTHER, "12:01"), (MODEL, "12:00")]


def test_lost_catch_up_of_an_earlier_due_time_is_published_again(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    """And only that: skipped due times stay skipped, and what Redis has is not published again."""
    leader_at(BEFORE_NOON, {MODEL: "*/10 12 * * *", OTHER: "* * * * *"})
    set_clock(db, "2026-11-24 12:35:20+00")
    leader = start_leader()
    leader.step()
    while drain_runs(redis_client) != [(OTHER, "12:35")]:
        leader.step()
    checkpoint: Any = redis_client.get(CHECKPOINT_KEY)
    run_leader_until_idle(leader)
    assert drain_runs(redis_client) == [(MODEL, "12:30")]
    redis_client.set(CHECKPOINT_KEY, checkpoint)

    run_leader_until_idle(leader)

    assert drain_runs(redis_client) == [(MODEL, "12:30")]


def test_recovery_of_several_days_delays_no_due_time(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    """Lost due times are published one by one, and due runs go first."""
    set_clock(db, BEFORE_NOON)
    for number, model_id in enumerate(model_ids(60)):
        schedule(db, model_id, f"*/{number + 1} * * * *" if number < 59 else "* * * * *")
    leader = start_leader(CATCH_UP="7")
    run_leader_until_idle(leader)
    run_leader_at(db, leader, "12:00")
    execute(
        db,
        "INSERT INTO fires (due_at, fired_at, finished_at, leader)"
        " SELECT due_at, due_at, due_at, 'before' FROM generate_series("
        " '2026-11-18 12:00+00'::timestamptz, '2026-11-24 11:59+00', interval '1 minute') AS due_at",
    )
    execute(db, "SET session_replication_role = replica; UPDATE metrics_executions SET active_since = '2026-11-01'")
    drain_queue(redis_client)
    redis_client.set(CHECKPOINT_KEY, "2026-11-18T12:00:00+00:00")
    started_at = time.monotonic()
    for _ in range(5):
        leader.step()
    assert [minute for _, minute in drain_runs(redis_client)][-1] == "11:56"
    set_minute(db, "12:01")

    leader.step()

    assert time.monotonic() - started_at < 3
    assert {minute for _, minute in drain_runs(redis_client)} == {"12:01"}


@pytest.mark.parametrize("checkpoint", ["nonsense", "2026-11-24", "2026-11-24T12:00:00", "/", "5/5"])
def test_invalid_checkpoint_counts_as_none(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis, checkpoint: str
) -> None:
    leader = leader_at(BEFORE_NOON)
    run_leader_at(db, leader, "12:00", "12:01")
    drain_queue(redis_client)
    redis_client.set(CHECKPOINT_KEY, checkpoint)

    run_leader_until_idle(leader)

    assert drain_runs(redis_client) == [(MODEL, "12:01")]
    assert redis_client.get(CHECKPOINT_KEY) == b"2026-11-24T12:01:00+00:00"


@pytest.mark.parametrize(
    "checkpoint", [b"\xff", b"[", b"9999-12-31T23:59:59.999999-14:00/1", b"0001-01-01T00:00:00+14:00/x"]
)
def test_unreadable_checkpoint_is_replaced_by_the_next_fire(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis, checkpoint: bytes
) -> None:
    leader = leader_at(BEFORE_NOON)
    run_leader_at(db, leader, "12:00")
    redis_client.set(CHECKPOINT_KEY, checkpoint)
    run_leader_at(db, leader, "12:01")

    assert "12:01" in {minute for _, minute in drain_runs(redis_client)}
    assert fetch_value(db, "SELECT error FROM leader") is None
    assert (
        redis_client.get(CHECKPOINT_KEY) == fetch_value(db, "SELECT max(finished_at) FROM fires").isoformat().encode()
    )


def test_lost_due_time_older_than_the_records_of_fires_is_published_again(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON, {MODEL: "0 12 * * *"})
    run_leader_at(db, leader, "12:00")
    execute(db, "DELETE FROM fires")
    redis_client.flushall()

    run_leader_until_idle(start_leader())

    assert drain_runs(redis_client) == [(MODEL, "12:00")]


def test_empty_redis_of_a_system_without_schedules_is_logged_once(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    leader = leader_at(BEFORE_NOON)
    run_leader_at(db, leader, "12:00")
    execute(db, "DELETE FROM metrics_executions; DELETE FROM crons")
    redis_client.flushall()

    run_leader_until_idle(leader)
    run_leader_until_idle(leader)

    messages = [record.message for record in caplog.records if "times again" in record.message]
    assert len(messages) == 1
    assert "publishing 0 due times again" in messages[0]
