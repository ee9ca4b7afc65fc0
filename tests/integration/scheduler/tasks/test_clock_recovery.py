"""Recovery after PostgreSQL's clock was ahead, and is set back."""

from datetime import timedelta

import redis

from tests.support.celery_queue import drain_queue, published_messages
from tests.support.databases import MODEL, OTHER, Connection, execute, fetch_all, fetch_value, schedule, set_clock
from tests.support.schedulers import BEFORE_NOON, LeaderAt, run_leader_at, run_leader_until_idle


def test_schedules_run_soon_after_the_clock_is_set_back(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON, {MODEL: "* * * * *", "00000000-0000-4000-8000-000000000001": "0 0 1 1 *"})
    set_clock(db, "2026-11-25 12:00:00+00")
    run_leader_until_idle(leader)
    schedule(db, OTHER)  # active since tomorrow
    execute(db, "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s", OTHER)
    run_leader_until_idle(leader)
    drain_queue(redis_client)

    set_clock(db, "2026-11-24 12:05:30+00")
    run_leader_until_idle(leader)
    assert fetch_value(db, "SELECT max(active_since) <= schedule_now() FROM metrics_executions")
    assert fetch_all(
        db, "SELECT count(*) FROM fires WHERE due_at > schedule_now() OR finished_at > schedule_now()"
    ) == [(0,)]
    run_leader_at(db, leader, "12:06")

    published = {
        (model, message["due_at"][:16]) for message in drain_queue(redis_client) for model in message["model_ids"]
    }
    assert published == {(MODEL, "2026-11-24T12:06"), (OTHER, "2026-11-24T12:06")}
    assert fetch_all(db, "SELECT models, skipped, duration FROM fires WHERE due_at = schedule_now()") == [
        (2, 0, timedelta(0))
    ]
    assert fetch_value(db, "SELECT max(next_due_at)::date::text FROM crons") == "2027-01-01"


def test_schedules_run_soon_after_the_clock_is_set_back_while_no_scheduler_runs(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader_at("2026-11-25 12:00:00+00").record_heartbeat(None)
    leader = leader_at(BEFORE_NOON, {})
    run_leader_at(db, leader, "12:00")

    assert [message["due_at"][:16] for message in published_messages(redis_client)] == ["2026-11-24T12:00"]
