"""Requested runs: every time that a user got for a run is published, whatever happens in the meantime."""

import math
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
import redis

from core.queue.keys import CHECKPOINT_KEY, QUEUE
from scheduler.tasks import run_requests
from tests.support.celery_queue import drain_queue, drain_runs, published_messages, published_models
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    bypass_triggers,
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
    LeaderAt,
    StartLeader,
    run_leader_at,
    run_leader_until_idle,
    set_minute,
)

YEARLY = "0 0 1 1 *"


def request_run(db: Connection, model_id: str = MODEL) -> datetime:
    """Request a run as the API does, and return its time."""
    statement = "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s RETURNING run_requested_at"
    requested_at: datetime = fetch_value(db, statement, model_id)
    return requested_at.astimezone(UTC)


def published_due_times(client: redis.Redis) -> list[datetime]:
    return [datetime.fromisoformat(message["due_at"]) for message in published_messages(client)]


def has_requests(db: Connection) -> bool:
    return bool(fetch_value(db, "SELECT count(*) FROM metrics_executions WHERE run_requested_at IS NOT NULL"))


def test_requested_run_is_published_at_once_and_cleared_when_redis_has_persisted_it(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    set_clock(db, "2026-11-24 11:59:30.123456+00")
    schedule(db)
    execute(db, "UPDATE metrics_executions SET enabled = false")
    leader = start_leader(persist_time=0.5)
    run_leader_until_idle(leader)

    requested_at = time.monotonic()
    request_run(db)
    run_leader_until_idle(leader)

    assert published_messages(redis_client) == [
        {"model_ids": [MODEL], "due_at": "2026-11-24T11:59:30.123+00:00", "requested": True, "alone": False}
    ]
    wait_for(lambda: not leader.step() and not has_requests(db))
    assert time.monotonic() - requested_at >= 0.5
    assert len(published_messages(redis_client)) == 1


def test_requests_before_publication_are_one_run(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    schedule(db, MODEL, YEARLY)

    requested = {request_run(db) for _ in range(8)}
    run_leader_until_idle(start_leader())

    assert set(published_due_times(redis_client)) == requested
    assert len(requested) == 1


def test_request_after_publication_is_another_run(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    """There may be a newer label row, although the row of the schedule still holds the first request."""
    schedule(db, MODEL, YEARLY)
    leader = start_leader()
    requested = []
    for _ in range(6):
        requested.append(request_run(db))
        run_leader_until_idle(leader)

    assert published_due_times(redis_client) == requested
    assert len(set(requested)) == 6


def test_requests_at_the_same_clock_time_get_different_due_times(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db, MODEL, YEARLY)
    leader = start_leader()
    requested = []
    for _ in range(3):
        requested.append(request_run(db))
        run_leader_until_idle(leader)

    assert published_due_times(redis_client) == requested
    assert len(set(requested)) == 3


def test_request_accepted_by_a_leader_that_ended_is_published_by_the_next_leader(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    """Even if another request has replaced it in the row of the schedule."""
    schedule(db, MODEL, YEARLY)
    leader = start_leader()
    run_leader_until_idle(leader)
    first = request_run(db)
    fetch_all(db, run_requests.ACCEPT % {"limit": 10})  # and then the leader ends
    second = request_run(db)

    run_leader_until_idle(start_leader())

    assert published_due_times(redis_client) == [first, second]
    assert first != second


def test_requested_run_that_redis_lost_before_persisting_it_is_published_again(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    schedules = {MODEL: "* * * * *", OTHER: "* * * * *"}
    leader = leader_at(BEFORE_NOON, schedules, persist_time=math.inf)  # not cleared, however slow the machine is
    run_leader_at(db, leader, "12:00")
    drain_queue(redis_client)
    checkpoint: Any = redis_client.get(CHECKPOINT_KEY)

    set_clock(db, "2026-11-24 12:00:10+00")
    request_run(db)
    run_leader_until_idle(leader)
    redis_client.delete(QUEUE)
    redis_client.set(CHECKPOINT_KEY, checkpoint)
    run_leader_until_idle(leader)

    messages = published_messages(redis_client)
    assert [(message["model_ids"], message["requested"]) for message in messages] == [([MODEL], True)]


def test_request_that_redis_lost_is_published_again_although_another_one_has_replaced_it(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON)
    run_leader_at(db, leader, "12:00")
    drain_queue(redis_client)
    checkpoint: Any = redis_client.get(CHECKPOINT_KEY)
    first = request_run(db)
    run_leader_until_idle(leader)
    second = request_run(db)
    run_leader_until_idle(leader)
    redis_client.delete(QUEUE)
    redis_client.set(CHECKPOINT_KEY, checkpoint)

    run_leader_until_idle(leader)

    assert set(published_due_times(redis_client)) >= {first, second}


def test_request_of_a_locked_row_is_published_once_and_cleared_later(
    db: Connection,
    start_leader: StartLeader,
    database_url: str,
    redis_client: redis.Redis,
) -> None:
    schedule(db, MODEL, YEARLY)
    request_run(db)
    user = psycopg2.connect(database_url)
    execute(user, "SELECT FROM metrics_executions FOR UPDATE")
    leader = start_leader(persist_time=0.0)

    run_leader_until_idle(leader)
    run_leader_until_idle(leader)
    assert has_requests(db)
    user.rollback()  # close() does not wait until the server has unlocked the row
    user.close()
    wait_for(lambda: not leader.step() and not has_requests(db))

    assert len(published_messages(redis_client)) == 1
    assert not has_requests(db)


def test_pending_request_is_not_overwritten_by_a_program_that_saves_an_older_row(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    """Programs that save all columns of a row write null, or an older value."""
    schedule(db, MODEL, YEARLY)
    requested_at = request_run(db)
    execute(db, "UPDATE metrics_executions SET name = 'other', run_requested_at = NULL")
    run_leader_until_idle(start_leader())

    assert published_due_times(redis_client) == [requested_at]


def test_value_that_is_written_back_is_no_request(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    schedule(db, MODEL, YEARLY)
    first = request_run(db)
    leader = start_leader(persist_time=0.0)
    run_leader_until_idle(leader)
    assert fetch_value(db, "SELECT run_requested_at FROM metrics_executions") is None

    execute(db, "UPDATE metrics_executions SET name = 'other', run_requested_at = %s", first)
    assert fetch_value(db, "SELECT run_requested_at FROM metrics_executions") is None
    second = request_run(db)
    execute(db, "UPDATE metrics_executions SET name = 'another', run_requested_at = %s", first)
    run_leader_until_idle(leader)

    assert published_due_times(redis_client) == [first, second]


@pytest.mark.parametrize("value", ["20000-01-01", "infinity", "-infinity", "0044-03-15 BC", "2027-01-01 00:00+00"])
def test_run_requested_at_an_impossible_time_runs_now(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis, value: str
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db, MODEL, YEARLY)
    schedule(db, OTHER, YEARLY)
    with bypass_triggers(db):
        execute(
            db,
            "UPDATE metrics_executions SET run_requested_at = %s WHERE model_id = %s",
            value,
            MODEL,
        )
    request_run(db, OTHER)
    leader = start_leader()
    run_leader_until_idle(leader)

    due_times = {message["due_at"] for message in published_messages(redis_client)}
    assert due_times == {"2026-11-24T11:59:30.000+00:00"}
    assert set(published_models(redis_client)) == {MODEL, OTHER}


REFUSE_ALL = """
    CREATE TABLE audit (model_id uuid);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO audit VALUES (NEW.model_id); RETURN NULL; END $$;
    GRANT INSERT ON audit TO metrics_api, metrics_client;
    CREATE TRIGGER users_own AFTER UPDATE ON metrics_executions FOR EACH ROW EXECUTE FUNCTION refuse()
"""
REFUSE_ONE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.model_id = '550e8400-e29b-41d4-a716-446655440000' AND NEW.run_requested_at IS NULL THEN
                RAISE EXCEPTION 'not on a Saturday';
            END IF;
            RETURN NULL;
        END $$;
    CREATE TRIGGER users_own AFTER UPDATE ON metrics_executions FOR EACH ROW EXECUTE FUNCTION refuse()
"""
SLOW = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF current_user = 'metrics_scheduler' THEN PERFORM pg_sleep(20); END IF; RETURN NULL; END $$;
    CREATE TRIGGER users_own AFTER UPDATE ON metrics_executions FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.fixture(params=["all", "one", "slow"])
def refusing_trigger(request: pytest.FixtureRequest, db: Connection) -> Iterator[str]:
    """A trigger of users that keeps the scheduler from clearing requests: of all rows, or of MODEL only."""
    execute(db, {"all": REFUSE_ALL, "one": REFUSE_ONE, "slow": SLOW}[request.param])
    yield request.param
    execute(
        db, "DROP TRIGGER IF EXISTS users_own ON metrics_executions; DROP FUNCTION refuse; DROP TABLE IF EXISTS audit"
    )


def test_trigger_of_users_that_refuses_clearing_delays_neither_new_schedules_nor_other_requests(
    db: Connection,
    refusing_trigger: str,
    leader_at: LeaderAt,
    start_leader: StartLeader,
    redis_client: redis.Redis,
) -> None:
    leader = leader_at(BEFORE_NOON, {MODEL: YEARLY}, persist_time=0.0)
    request_run(db)
    run_leader_until_idle(leader)
    schedule(db, OTHER, "0 12 * * *")
    request_run(db, OTHER)
    run_leader_until_idle(leader)
    run_leader_until_idle(leader)

    assert [message["model_ids"] for message in drain_queue(redis_client)] == [[MODEL], [OTHER]]  # once each
    assert fetch_value(db, "SELECT count(*) FROM crons") == 2
    assert fetch_value(db, "SELECT error FROM leader") is None
    not_cleared = {
        model
        for (model,) in fetch_all(db, "SELECT model_id FROM metrics_executions WHERE run_requested_at IS NOT NULL")
    }
    assert not_cleared == ({MODEL} if refusing_trigger == "one" else {MODEL, OTHER})
    run_leader_at(db, leader, "12:00")
    assert drain_runs(redis_client) == [(OTHER, "12:00")]

    execute(db, "DROP TRIGGER users_own ON metrics_executions")
    run_leader_until_idle(start_leader(persist_time=0.0))
    assert fetch_value(db, "SELECT count(run_requested_at) FROM metrics_executions") == 0


def test_role_without_privileges_on_run_requests_can_request_a_run(db: Connection, database_url: str) -> None:
    schedule(db)
    execute(db, "DROP ROLE IF EXISTS requester; CREATE ROLE requester LOGIN;"
            " GRANT SELECT, UPDATE (run_requested_at) ON metrics_executions TO requester")  # fmt: skip
    try:
        with closing(psycopg2.connect(database_url)) as session:
            execute(session, "SET SESSION AUTHORIZATION requester")
            execute(session, "UPDATE metrics_executions SET run_requested_at = now()")
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                fetch_all(session, "SELECT * FROM run_requests")
    finally:
        execute(db, "DROP OWNED BY requester; DROP ROLE requester")


def test_many_requests_are_published_and_cleared_in_batches_without_delaying_a_due_time(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON, {OTHER: "0 12 * * *"}, persist_time=0.0)
    schedule_many(db, 4 * run_requests.BATCH_SIZE, YEARLY)
    execute(db, "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id <> %s", OTHER)
    for _ in range(3):
        leader.step()
    assert len(published_models(redis_client)) < 4 * run_requests.BATCH_SIZE
    set_minute(db, "12:00")
    leader.step()

    assert published_messages(redis_client)[-1]["model_ids"] == [OTHER]
    run_leader_until_idle(leader)
    models = published_models(redis_client)
    assert len(models) == len(set(models)) == 4 * run_requests.BATCH_SIZE + 1
    assert fetch_value(db, "SELECT count(run_requested_at) FROM metrics_executions") == 0


def test_old_requests_are_deleted(db: Connection, start_leader: StartLeader) -> None:
    execute(
        db,
        "INSERT INTO run_requests SELECT gen_random_uuid(), schedule_now() - interval '2 days',"
        " CASE WHEN n > 1 THEN schedule_now() - interval '25 hours' END FROM generate_series(1, 2500) AS n",
    )
    run_leader_until_idle(start_leader(cleanup_interval=0.0))

    assert fetch_value(db, "SELECT count(*) FROM run_requests") == 1
