"""Due runs, minute by minute of the database's clock."""

import math
from datetime import timedelta

import pytest
import redis

from scheduler.tasks import due_runs
from tests.support.celery_queue import drain_runs, published_messages
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    execute,
    fetch_all,
    fetch_value,
    schedule,
    schedule_many,
    set_clock,
    wait_for,
)
from tests.support.schedulers import (
    BEFORE_NOON,
    NOON,
    LeaderAt,
    StartLeader,
    leader_error,
    run_leader_at,
    run_leader_until_idle,
    set_minute,
)

INSERT_DISTINCT = """
    INSERT INTO metrics_executions (model_id, cron_expression)
    SELECT gen_random_uuid(), concat_ws(' ', n %% 60, n / 60, '1 1 *') FROM generate_series(1, %s) AS n
"""


def test_schedule_runs_at_its_due_time_and_not_before(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON)
    assert published_messages(redis_client) == []

    run_leader_at(db, leader, "12:00")

    assert published_messages(redis_client) == [
        {"model_ids": [MODEL], "due_at": "2026-11-24T12:00:00.000+00:00", "requested": False, "alone": False}
    ]
    assert fetch_value(db, "SELECT next_due_at FROM crons").isoformat() == "2026-11-24T12:01:00+00:00"


def test_leader_records_fire_with_its_counts(db: Connection, start_leader: StartLeader) -> None:
    set_clock(db, BEFORE_NOON)
    schedule_many(db, 25)
    schedule(db, MODEL, "0 12 * * *", "Europe/London")
    leader = start_leader()
    run_leader_until_idle(leader)
    set_clock(db, "2026-11-24 12:00:00.250+00")
    run_leader_until_idle(leader)

    [(lag, *counts)] = fetch_all(
        db, "SELECT fired_at - due_at, crons, models, messages, skipped, leader, finished_at IS NOT NULL FROM fires"
    )
    assert str(lag) == "0:00:00.250000"
    assert counts == [2, 26, 3, 0, "tests", True]


def test_models_are_published_in_batches(db: Connection, start_leader: StartLeader, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE_NOON)
    schedule_many(db, 25)
    leader = start_leader()
    run_leader_until_idle(leader)
    run_leader_at(db, leader, "12:00")

    assert [len(message["model_ids"]) for message in published_messages(redis_client)] == [10, 10, 5]


def test_edit_counts_from_its_commit(db: Connection, leader_at: LeaderAt, redis_client: redis.Redis) -> None:
    leader = leader_at(BEFORE_NOON, {MODEL: "0 12 * * *", OTHER: "0 12 * * *"})

    execute(db, "UPDATE metrics_executions SET cron_expression = '2 12 * * *' WHERE model_id = %s", MODEL)
    run_leader_at(db, leader, "12:00", "12:01", "12:02", "12:03")

    assert drain_runs(redis_client) == [(OTHER, "12:00"), (MODEL, "12:02")]


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM metrics_executions", "UPDATE metrics_executions SET enabled = false", "TRUNCATE metrics_executions"],
)
def test_deleted_or_paused_schedule_does_not_run(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis, change: str
) -> None:
    leader = leader_at(BEFORE_NOON)

    execute(db, change)
    run_leader_at(db, leader, "12:00")

    assert published_messages(redis_client) == []


def test_insert_resume_or_restart_at_a_due_time_does_not_fire(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    set_clock(db, NOON)
    schedule(db, MODEL)
    schedule(db, OTHER)
    execute(db, "UPDATE metrics_executions SET enabled = NOT enabled WHERE model_id = %s", OTHER)
    execute(db, "UPDATE metrics_executions SET enabled = NOT enabled WHERE model_id = %s", OTHER)

    run_leader_until_idle(start_leader())
    run_leader_until_idle(start_leader())

    assert published_messages(redis_client) == []


def test_schedule_inserted_just_before_due_time_runs(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    """The notification about the new cron spec arrives after the due time, which is fired for others by then."""
    leader = leader_at(BEFORE_NOON, {OTHER: "0 12 * * *"})
    set_clock(db, "2026-11-24 11:59:59.999+00")
    schedule(db, MODEL, "* * * * *")
    run_leader_at(db, leader, "12:00")

    assert sorted(drain_runs(redis_client)) == sorted([(OTHER, "12:00"), (MODEL, "12:00")])
    assert fetch_all(db, "SELECT crons, models FROM fires") == [(2, 2)]


def test_crash_between_publishing_and_recording_repeats_messages_and_loses_none(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    leader_at(BEFORE_NOON)
    set_clock(db, NOON)
    execute(db, "REVOKE INSERT ON fires FROM metrics_scheduler")
    run_leader_until_idle(start_leader())
    execute(db, "GRANT INSERT ON fires TO metrics_scheduler")

    run_leader_until_idle(start_leader())

    assert drain_runs(redis_client) == [(MODEL, "12:00"), (MODEL, "12:00")]


def test_stale_leader_moves_no_cron_spec_back(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    stale_leader = leader_at(BEFORE_NOON)
    set_clock(db, NOON)
    noon = fetch_value(db, f"SELECT '{NOON}'::timestamptz")
    stale_due_runs = stale_leader._due_runs  # noqa: SLF001  # it stops in the middle of a fire
    stale_due_runs.fire(noon, noon)
    run_leader_until_idle(start_leader())
    set_minute(db, "12:01")
    run_leader_until_idle(start_leader())

    stale_due_runs.record_sent()
    run_leader_until_idle(stale_leader)

    assert fetch_value(db, "SELECT next_due_at FROM crons").isoformat() == "2026-11-24T12:02:00+00:00"
    assert set(drain_runs(redis_client)) == {(MODEL, "12:00"), (MODEL, "12:01")}


def test_fire_of_many_cron_specs_is_recorded_once_and_in_batches(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    count = 2 * due_runs.RECORD_BATCH + 1
    set_clock(db, BEFORE_NOON)
    execute(db, INSERT_DISTINCT, count)
    leader = start_leader(BATCH_SIZE="100")
    run_leader_until_idle(leader)
    execute(db, "UPDATE crons SET next_due_at = %s", NOON)

    run_leader_at(db, leader, "12:00")

    assert fetch_all(db, "SELECT crons, models, messages FROM fires") == [(count, count, math.ceil(count / 100))]
    assert fetch_value(db, "SELECT min(next_due_at) > %s FROM crons", NOON)
    assert len(drain_runs(redis_client)) == count


def test_cron_spec_that_cannot_be_recorded_is_published_once_and_others_continue(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON, {MODEL: "* * * * *", OTHER: "*/1 * * * *"})
    refused = "cron_expression = '*/1 * * * *' AND next_due_at > '2026-11-24 12:00+00'"
    execute(db, f"ALTER TABLE crons ADD CONSTRAINT odd CHECK (NOT ({refused}))")
    try:
        run_leader_at(db, leader, "12:00", "12:01", "12:02")
        published = drain_runs(redis_client)
    finally:
        execute(db, "ALTER TABLE crons DROP CONSTRAINT odd")

    assert [minute for model, minute in published if model == MODEL] == ["12:00", "12:01", "12:02"]
    assert [minute for model, minute in published if model == OTHER] == ["12:00"]
    for fire in leader._due_runs._unrecorded.values():  # noqa: SLF001  # as if a minute had passed
        fire.retry_at = 0.0
    run_leader_at(db, leader, "12:03")
    assert {model for model, _ in drain_runs(redis_client)} == {MODEL, OTHER}


def test_published_fire_that_cannot_be_recorded_is_not_published_again(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON)
    execute(db, "REVOKE INSERT ON fires FROM metrics_scheduler")
    try:
        set_clock(db, NOON)
        for _ in range(5):
            run_leader_until_idle(leader)
        assert "permission denied" in leader_error(db)
    finally:
        execute(db, "GRANT INSERT ON fires TO metrics_scheduler")

    def is_recorded() -> bool:
        run_leader_until_idle(leader)
        return bool(fetch_value(db, "SELECT count(*) FROM fires"))

    wait_for(is_recorded)
    run_leader_until_idle(leader)
    assert len(published_messages(redis_client)) == 1
    assert fetch_all(db, "SELECT models, messages, lag FROM fires") == [(1, 1, timedelta(0))]
    assert fetch_value(db, "SELECT error FROM leader") is None


def test_published_and_unrecorded_fire_is_published_again_after_redis_lost_it(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON)
    run_leader_at(db, leader, "12:00")
    execute(db, "REVOKE INSERT ON fires FROM metrics_scheduler")
    try:
        run_leader_at(db, leader, "12:01")
        redis_client.flushall()
        run_leader_until_idle(leader)
    finally:
        execute(db, "GRANT INSERT ON fires TO metrics_scheduler")

    assert "12:01" in {minute for _, minute in drain_runs(redis_client)}
