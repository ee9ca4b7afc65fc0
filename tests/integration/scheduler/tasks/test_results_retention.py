"""Deletion of old label rows, if RESULTS_RETENTION is set; the newest one of each model stays."""

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg2
import pytest
import redis

from benchmarks import simulated_clock
from scheduler.settings import Settings
from scheduler.tasks.results_retention import MAX_BATCH_SIZE, RETRY_DELAY, SCAN_INTERVAL, ResultsRetention
from tests.support.celery_queue import published_messages
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
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
    SETTINGS,
    StartLeader,
    StartScheduler,
    run_leader_at,
    run_leader_until_idle,
)

INSERT_AGED = """
    INSERT INTO results (model_id, y_true, y_pred, timestamp)
    SELECT %s::uuid, '[1]', '[1]', schedule_now() - age::interval FROM unnest(%s) AS age
"""
INSERT_MANY = """
    INSERT INTO results (model_id, y_true, y_pred, timestamp)
    SELECT md5((n %% %(models)s)::text)::uuid, '[1]', '[1]', schedule_now() - interval '40 days'
    FROM generate_series(1, %(rows)s) AS n
"""
AGES = "SELECT date_trunc('minute', schedule_now() - timestamp)::text FROM results WHERE model_id = %s ORDER BY id"


THIRTY_DAYS = Settings.from_env(SETTINGS | {"RESULTS_RETENTION": "30"})


@pytest.fixture
def retention(session: Connection) -> ResultsRetention:
    """Retention of 30 days, without intervals between the batches."""
    return ResultsRetention(session, THIRTY_DAYS, batch_interval=0.0)


def finish_scan(retention: ResultsRetention) -> int:
    """Finish a scan of all models; return the number of batches."""
    for batches in range(1, 10_000):
        if retention.delete_some() > 0.0:
            return batches
    raise AssertionError("the scan does not end")


@pytest.mark.parametrize(
    ("ages", "expected"),
    [
        (["40 days", "10 days", "35 days"], ["10 days"]),
        (["29 days", "31 days"], ["29 days"]),
        (["30 days"], ["30 days"]),
        # a model without newer rows keeps its newest one, and of two at the same time the one with the higher id
        (["50 days", "40 days"], ["40 days"]),
        (["40 days", "40 days", "50 days", "50 days"], ["40 days"]),
        # a row ahead of the clock does not count as the newest one
        (["50 days", "40 days", "-10 minutes"], ["40 days", "-00:10:00"]),
        (["50 days", "40 days", "-4 minutes"], ["-00:04:00"]),
    ],
)
def test_old_label_rows_are_deleted_except_the_newest_one_of_a_model(
    db: Connection, retention: ResultsRetention, ages: list[str], expected: list[str]
) -> None:
    set_clock(db, NOON)
    execute(db, INSERT_AGED, MODEL, ages)
    newest = fetch_value(db, "SELECT id FROM newest_label_rows(%s::uuid[])", [MODEL])

    finish_scan(retention)

    assert [age for (age,) in fetch_all(db, AGES, MODEL)] == expected
    assert fetch_value(db, "SELECT id FROM newest_label_rows(%s::uuid[])", [MODEL]) == newest


def test_label_rows_at_impossible_times_do_not_stop_the_deletion(db: Connection, retention: ResultsRetention) -> None:
    execute(
        db,
        "INSERT INTO results (model_id, y_true, y_pred, timestamp) SELECT %s, '[]', '[]', unnest(%s)::timestamptz",
        MODEL, ["-infinity", "4000-01-01 BC", "infinity", "2020-01-01", "-infinity"],
    )  # fmt: skip

    finish_scan(retention)

    assert fetch_all(db, "SELECT timestamp::text FROM results ORDER BY timestamp") == [
        ("2020-01-01 00:00:00+00",),
        ("infinity",),
    ]


def test_no_label_row_is_deleted_without_results_retention(db: Connection, start_leader: StartLeader) -> None:
    execute(db, INSERT_AGED, MODEL, ["4000 days", "3000 days"])

    run_leader_until_idle(start_leader())

    assert fetch_value(db, "SELECT count(*) FROM results") == 2


def test_leader_deletes_old_label_rows_when_nothing_is_due(db: Connection, start_leader: StartLeader) -> None:
    execute(db, INSERT_AGED, MODEL, ["40 days", "35 days"])

    run_leader_until_idle(start_leader(RESULTS_RETENTION="30"))

    assert len(fetch_all(db, AGES, MODEL)) == 1


def test_leader_deletes_no_label_rows_shortly_before_a_due_time(db: Connection, start_leader: StartLeader) -> None:
    set_clock(db, "2026-11-24 11:59:59.500+00")
    schedule(db)
    execute(db, INSERT_AGED, MODEL, ["40 days", "35 days"])

    run_leader_until_idle(start_leader(RESULTS_RETENTION="30"))

    assert len(fetch_all(db, AGES, MODEL)) == 2


def test_label_rows_are_deleted_in_small_batches_and_the_rest_after_a_restart(
    db: Connection, session: Connection, retention: ResultsRetention
) -> None:
    execute(db, INSERT_MANY, {"models": 7, "rows": 2007})
    counts = [fetch_value(db, "SELECT count(*) FROM results")]
    for _ in range(10):
        retention.delete_some()
        counts.append(fetch_value(db, "SELECT count(*) FROM results"))
    assert counts[-1] > 7

    restarted = ResultsRetention(session, THIRTY_DAYS, batch_interval=0.0)
    finish_scan(restarted)

    assert max(before - after for before, after in pairwise(counts)) <= MAX_BATCH_SIZE
    assert fetch_value(db, "SELECT count(*) FROM results") == 7


def test_models_without_old_label_rows_are_scanned_in_batches_too(db: Connection, retention: ResultsRetention) -> None:
    execute(db, INSERT_MANY, {"models": 3000, "rows": 3000})

    assert finish_scan(retention) >= 3000 / MAX_BATCH_SIZE
    assert fetch_value(db, "SELECT count(*) FROM results") == 3000


def test_next_scan_starts_after_the_scan_interval(db: Connection, session: Connection) -> None:
    retention = ResultsRetention(session, THIRTY_DAYS, batch_interval=0.0, scan_interval=3.0)
    finish_scan(retention)
    execute(db, INSERT_AGED, MODEL, ["40 days", "35 days"])
    assert 0.0 < retention.delete_some() < 3.0
    assert len(fetch_all(db, AGES, MODEL)) == 2

    wait_for(lambda: retention.delete_some() and len(fetch_all(db, AGES, MODEL)) == 1)


def test_locked_label_row_is_not_deleted(db: Connection, database_url: str, retention: ResultsRetention) -> None:
    execute(db, INSERT_AGED, MODEL, ["40 days", "50 days", "60 days"])
    execute(db, INSERT_AGED, OTHER, ["40 days", "50 days"])
    with closing(psycopg2.connect(database_url)) as user:
        execute(user, "UPDATE results SET y_true = '[0]' WHERE id = 2")

        started_at = time.monotonic()
        finish_scan(retention)

        assert time.monotonic() - started_at < 1.0
        assert fetch_all(db, "SELECT id FROM results ORDER BY id") == [(1,), (2,), (4,)]


def test_deletion_from_a_locked_table_is_retried_after_a_minute(
    db: Connection, database_url: str, retention: ResultsRetention, caplog: pytest.LogCaptureFixture
) -> None:
    execute(db, INSERT_AGED, MODEL, ["40 days", "50 days"])
    with closing(psycopg2.connect(database_url)) as user:
        execute(user, "LOCK TABLE results IN ACCESS EXCLUSIVE MODE")

        started_at = time.monotonic()
        delay = retention.delete_some()

        assert time.monotonic() - started_at < 0.5
        assert delay == RETRY_DELAY
        assert "old rows of results not deleted: canceling statement due to lock timeout" in caplog.text


@pytest.mark.parametrize(
    ("change", "undo", "reason"),
    [
        (
            "REVOKE DELETE ON results FROM metrics_scheduler",
            "GRANT DELETE ON results TO metrics_scheduler",
            "permission denied for table results",
        ),
        (
            "CREATE TABLE notes AS SELECT id FROM results; ALTER TABLE notes ADD FOREIGN KEY (id) REFERENCES results",
            "DROP TABLE notes",
            'update or delete on table "results" violates foreign key constraint',
        ),
    ],
    ids=["missing privilege", "foreign key"],
)
def test_refused_deletion_is_logged_and_does_not_affect_schedules(
    db: Connection, start_leader: StartLeader, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture,
    change: str, undo: str, reason: str,
) -> None:  # fmt: skip
    set_clock(db, BEFORE_NOON)
    schedule(db)
    execute(db, INSERT_AGED, MODEL, ["40 days", "50 days"])
    leader = start_leader(RESULTS_RETENTION="30")
    execute(db, change)
    try:
        run_leader_until_idle(leader)
        run_leader_at(db, leader, "12:00")
    finally:
        execute(db, undo)

    assert len(published_messages(redis_client)) == 1
    assert fetch_value(db, "SELECT error FROM leader") is None
    assert len(fetch_all(db, AGES, MODEL)) == 2
    assert f"old rows of results not deleted: {reason}" in caplog.text


def test_lost_connection_is_raised_to_the_caller(
    db: Connection, session: Connection, retention: ResultsRetention
) -> None:
    execute(db, "SELECT pg_terminate_backend(%s)", session.info.backend_pid)

    with pytest.raises(psycopg2.Error):
        retention.delete_some()


def test_scan_of_an_empty_table_needs_at_most_two_batches(retention: ResultsRetention) -> None:
    assert finish_scan(retention) <= 2
    assert 0.0 < retention.delete_some() <= SCAN_INTERVAL


def test_due_time_during_the_deletion_is_not_late(db: Connection, start_scheduler: StartScheduler) -> None:
    execute(db, INSERT_MANY, {"models": 100, "rows": 100_000})
    simulated_clock.set_before(
        db, datetime(2030, 6, 1, 12, tzinfo=UTC), timedelta(minutes=10)
    )  # time to start the scheduler
    schedule(db, cron="0 12 * * *")
    start_scheduler(RESULTS_RETENTION="30")
    wait_for(lambda: fetch_value(db, "SELECT count(*) FROM results") < 100_000)
    simulated_clock.set_before(db, datetime(2030, 6, 1, 12, tzinfo=UTC), timedelta(seconds=3))
    wait_for(lambda: fetch_value(db, "SELECT count(*) FROM fires"))
    remaining = fetch_value(db, "SELECT count(*) FROM results")

    assert fetch_value(db, "SELECT max(lag) FROM fires") < timedelta(seconds=0.3)
    assert remaining > 100
    wait_for(lambda: fetch_value(db, "SELECT count(*) FROM results") < remaining)
