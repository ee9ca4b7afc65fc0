"""Next due times of cron specs that come into use."""

from contextlib import closing

import psycopg2
import pytest
import redis

from core.cron.time_zones import TZDATA_VERSION
from scheduler.tasks.next_runs import NextRuns
from tests.support.celery_queue import drain_runs, published_messages, published_models
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    bypass_triggers,
    execute,
    fetch_all,
    fetch_value,
    schedule,
    set_clock,
    wait_for,
)
from tests.support.schedulers import (
    BEFORE_NOON,
    NOON,
    LeaderAt,
    StartLeader,
    StartScheduler,
    leader_error,
    run_leader_at,
    run_leader_until_idle,
)


def test_invalid_row_past_the_validation_trigger_affects_only_itself(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    with bypass_triggers(db):
        schedule(db, OTHER, "R R * * *")
        execute(db, "UPDATE metrics_executions SET active_since = '2026-11-24 11:00:00+00'")
    schedule(db, MODEL)
    leader = start_leader()
    run_leader_until_idle(leader)
    run_leader_at(db, leader, "12:00")

    assert drain_runs(redis_client) == [(MODEL, "12:00")]
    assert "R R * * *" in fetch_value(db, "SELECT error FROM crons WHERE cron_expression = 'R R * * *'")
    assert fetch_value(db, "SELECT status FROM schedule_status WHERE model_id = %s", OTHER) == "error"

    execute(db, "UPDATE metrics_executions SET cron_expression = '1 12 * * *' WHERE model_id = %s", OTHER)
    run_leader_at(db, leader, "12:01")
    assert (OTHER, "12:01") in drain_runs(redis_client)


@pytest.mark.parametrize(
    "active_since", ["-infinity", "infinity", "0001-01-01 00:00+00", "0044-03-15 BC", "20000-01-01"]
)
def test_impossible_active_since_does_not_affect_other_schedules_of_the_cron_spec(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis, active_since: str
) -> None:
    set_clock(db, BEFORE_NOON)
    leader = start_leader()
    run_leader_until_idle(leader)
    with bypass_triggers(db):
        schedule(db, OTHER, "0 12 * * *")
        execute(db, "UPDATE metrics_executions SET active_since = %s", active_since)
    schedule(db, MODEL, "0 12 * * *")
    schedule(db, "00000000-0000-4000-8000-000000000001", "*/2 * * * *")
    run_leader_until_idle(leader)
    run_leader_at(db, leader, "12:00")

    assert set(published_models(redis_client)) >= {MODEL, "00000000-0000-4000-8000-000000000001"}
    assert fetch_value(db, "SELECT error FROM leader") is None
    assert fetch_value(db, "SELECT sum(skipped) FROM fires") == 0


@pytest.mark.parametrize(
    "timezone", ["__init__/py", "Europe", "../etc/passwd", "a/\x01", "Europe/Warsaw/../Paris", "x" * 90]
)
def test_invalid_time_zone_is_an_error_of_its_cron_spec_only(
    db: Connection, start_leader: StartLeader, timezone: str
) -> None:
    set_clock(db, BEFORE_NOON)
    leader = start_leader()
    with bypass_triggers(db):
        schedule(db, OTHER, "* * * * *", timezone)
        execute(db, "UPDATE metrics_executions SET active_since = schedule_now()")
    schedule(db, MODEL)
    run_leader_until_idle(leader)

    errors = dict(fetch_all(db, "SELECT timezone, error FROM crons"))
    assert errors["UTC"] is None
    assert "time zone" in errors[timezone]


def test_cron_spec_whose_notification_was_lost_is_found_by_the_next_scan(db: Connection, session: Connection) -> None:
    now = fetch_value(db, "SELECT schedule_now()")
    waiting, scanning = NextRuns(session), NextRuns(session, scan_interval=0.0)
    for next_runs in (waiting, scanning):
        assert next_runs.calculate_some(now)  # the first scan
    schedule(db)

    assert not waiting.calculate_some(now)
    assert fetch_all(db, "SELECT FROM crons") == []
    assert scanning.calculate_some(now)
    assert fetch_value(db, "SELECT count(*) FROM crons") == 1


def test_import_of_many_cron_specs_does_not_delay_a_due_time(
    db: Connection, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at(BEFORE_NOON)
    execute(
        db,
        "INSERT INTO metrics_executions (model_id, cron_expression)"
        " SELECT gen_random_uuid(), minute || ' ' || hour || ' * * *'"
        " FROM generate_series(0, 59) AS minute, generate_series(13, 22) AS hour",
    )
    leader.step()
    assert fetch_value(db, "SELECT count(*) FROM crons") < 600
    set_clock(db, NOON)

    leader.step()
    assert drain_runs(redis_client) == [(MODEL, "12:00")]
    run_leader_until_idle(leader)
    assert fetch_value(db, "SELECT count(*) FROM crons") == 601


def test_continuous_import_does_not_keep_a_scan_from_finishing(db: Connection, start_leader: StartLeader) -> None:
    """Each statement has more cron specs than a notification can name, and requests another scan."""
    leader = start_leader()
    run_leader_until_idle(leader)
    insert = """
        INSERT INTO metrics_executions (model_id, cron_expression)
        SELECT gen_random_uuid(), concat_ws(' ', %s::text, n %% 24, n / 24 + 1, %s::text, '*')
        FROM generate_series(0, 119) AS n
    """
    for minute in (*range(10, 30), 59):  # several batches; the last minute is near the end of the scan
        execute(db, insert, minute, 1)
    for minute in range(10):
        execute(db, insert, minute, 2)
        leader.step()

    assert fetch_value(db, "SELECT count(*) FROM crons WHERE cron_expression LIKE '59 %'") == 120


def test_next_due_times_are_calculated_while_redis_is_unavailable(
    db: Connection, start_scheduler: StartScheduler
) -> None:
    start_scheduler(REDIS_URL="redis://127.0.0.1:1/0")
    wait_for(lambda: "Redis" in leader_error(db))

    schedule(db)

    wait_for(lambda: fetch_value(db, "SELECT count(next_due_at) FROM crons") == 1)


def test_schedule_of_a_long_transaction_does_not_run_for_a_time_before_its_commit(
    db: Connection, database_url: str, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at("2026-11-24 11:58:30+00", {OTHER: "* * * * *"})
    with closing(psycopg2.connect(database_url)) as user:
        schedule(user, MODEL, "* * * * *", "Pacific/Marquesas")
        run_leader_at(db, leader, "11:59", "12:00", "12:01")
        set_clock(db, "2026-11-24 12:01:11+00")
        run_leader_until_idle(leader)
        user.commit()
    run_leader_until_idle(leader)

    assert [minute for model, minute in drain_runs(redis_client) if model == MODEL] == []
    assert fetch_value(db, "SELECT sum(skipped) FROM fires") == 0
    run_leader_at(db, leader, "12:02")
    assert {model for model, _ in drain_runs(redis_client)} == {MODEL, OTHER}


def test_schedules_of_a_long_import_do_not_run_for_a_time_before_its_commit(
    db: Connection, database_url: str, leader_at: LeaderAt, redis_client: redis.Redis
) -> None:
    leader = leader_at("2026-11-24 11:58:30+00", {})
    with closing(psycopg2.connect(database_url)) as user:
        execute(
            user,
            "INSERT INTO metrics_executions (model_id, cron_expression, timezone)"
            " SELECT gen_random_uuid(), '* * * * *', name FROM time_zones",
        )
        set_clock(db, "2026-11-24 12:01:11+00")
        run_leader_until_idle(leader)
        user.commit()
    run_leader_until_idle(leader)

    assert published_messages(redis_client) == []
    assert fetch_value(db, "SELECT coalesce(sum(skipped), 0) FROM fires") == 0
    assert fetch_value(db, "SELECT min(next_due_at) FROM crons").isoformat() == "2026-11-24T12:02:00+00:00"


def test_new_time_zone_data_change_a_due_time_in_the_future(db: Connection, start_leader: StartLeader) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db, MODEL, "0 12 * * *")
    schedule(db, OTHER, "30 12 * * *", "Europe/London")
    run_leader_until_idle(start_leader())
    execute(
        db, "UPDATE crons SET tzdata_version = '1999.1', next_due_at = '2026-11-24 13:45+00' WHERE timezone = 'UTC'"
    )

    run_leader_until_idle(start_leader())

    assert fetch_all(db, "SELECT next_due_at::text, tzdata_version FROM crons ORDER BY 1") == [
        ("2026-11-24 12:00:00+00", TZDATA_VERSION),
        ("2026-11-24 12:30:00+00", TZDATA_VERSION),
    ]


def test_new_time_zone_data_do_not_withdraw_a_due_time_that_has_come(
    db: Connection, leader_at: LeaderAt, start_leader: StartLeader, redis_client: redis.Redis
) -> None:
    leader_at(BEFORE_NOON, {MODEL: "0 13 * * *"})
    execute(db, "UPDATE crons SET tzdata_version = '1999.1', next_due_at = '2026-11-24 12:00+00'")
    set_clock(db, NOON)

    run_leader_until_idle(start_leader())

    assert drain_runs(redis_client) == [(MODEL, "12:00")]
    assert fetch_all(db, "SELECT next_due_at::text, tzdata_version FROM crons") == [
        ("2026-11-24 13:00:00+00", TZDATA_VERSION)
    ]


def test_new_time_zone_data_replace_the_error_of_a_formerly_unknown_zone(
    db: Connection, start_leader: StartLeader
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db, MODEL, "0 12 * * *", "Europe/London")
    execute(
        db,
        "INSERT INTO crons (cron_expression, timezone, error, tzdata_version)"
        " VALUES ('0 12 * * *', 'Europe/London', 'unknown', '1999.1')",
    )

    run_leader_until_idle(start_leader())

    assert fetch_all(db, "SELECT next_due_at::text, error FROM crons") == [("2026-11-24 12:00:00+00", None)]
