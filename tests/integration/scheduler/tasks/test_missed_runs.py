"""Catch-up of missed due times."""

import redis

from tests.support.celery_queue import drain_runs
from tests.support.databases import MODEL, OTHER, Connection, fetch_all, fetch_value, schedule, set_clock
from tests.support.schedulers import BEFORE_NOON, LeaderAt, StartLeader, run_leader_until_idle


def test_outage_is_caught_up_once_by_the_latest_due_time(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    leader_at(BEFORE_NOON, {MODEL: "* * * * *", OTHER: "30 * * * *"})
    set_clock(db, "2026-11-24 14:10:20+00")
    schedule(db, "00000000-0000-4000-8000-000000000001", "* * * * *")  # inserted after the due time

    run_leader_until_idle(start_leader())

    assert drain_runs(redis_client) == [(MODEL, "14:10"), (OTHER, "13:30")]
    assert fetch_all(
        db, "SELECT to_char(due_at AT TIME ZONE 'UTC', 'HH24:MI'), models, skipped FROM fires ORDER BY 1"
    ) == [
        ("13:30", 1, 1),
        ("14:10", 1, 130),
    ]


def test_due_runs_are_published_before_missed_runs(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    leader_at(BEFORE_NOON, {MODEL: "30 12 * * *", OTHER: "0 13 * * *"})
    set_clock(db, "2026-11-24 13:00:01+00")
    run_leader_until_idle(start_leader())

    assert drain_runs(redis_client) == [(OTHER, "13:00"), (MODEL, "12:30")]


def test_due_time_missed_before_catch_up_is_only_counted(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    leader_at(BEFORE_NOON, {MODEL: "0 12 * * *", OTHER: "0 12 24 11 *"})
    set_clock(db, "2026-12-04 11:00:00+00")

    run_leader_until_idle(start_leader(CATCH_UP="7"))

    assert drain_runs(redis_client) == [(MODEL, "12:00")]
    assert fetch_all(db, "SELECT due_at::date::text, models, skipped FROM fires ORDER BY 1") == [
        ("2026-11-24", 0, 1),
        ("2026-12-03", 1, 9),
    ]
    assert fetch_value(db, "SELECT max(next_due_at)::date::text FROM crons") == "2027-11-24"
