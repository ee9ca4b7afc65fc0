"""Old rows of results go, where RESULTS_RETENTION says so; a model's newest one stays, and nobody waits."""

import time
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import psycopg2
import pytest
import redis

from benchmarks.moments import approach
from core import postgres
from scheduler.settings import Settings
from scheduler.tasks import results_retention
from scheduler.tasks.results_retention import RETRY_DELAY, SCAN_INTERVAL, ResultsRetention
from tests.integration.scheduler.conftest import BEFORE, NOON, SETTINGS, Run, Start, work
from tests.support.celery_queue import published_messages
from tests.support.databases import MODEL, OTHER, Connection, Databases, one, rows, run, schedule, set_clock, wait_for

ADD = """
    INSERT INTO results (model_id, y_true, y_pred, timestamp)
    SELECT %s::uuid, '[1]', '[1]', schedule_now() - age::interval FROM unnest(%s) AS age
"""
ADD_MANY = """
    INSERT INTO results (model_id, y_true, y_pred, timestamp)
    SELECT md5((n %% %(models)s)::text)::uuid, '[1]', '[1]', schedule_now() - interval '40 days'
    FROM generate_series(1, %(rows)s) AS n
"""
AGES = "SELECT date_trunc('minute', schedule_now() - timestamp)::text FROM results WHERE model_id = %s ORDER BY id"


@pytest.fixture
def session(databases: Databases, database_url: str) -> Iterator[Connection]:
    """The leader's own, with its rights and time limits."""
    opened = postgres.connect(databases.url_as("metrics_scheduler", database_url), "tests")
    yield opened
    opened.close()


@pytest.fixture
def old(session: Connection, monkeypatch: pytest.MonkeyPatch) -> ResultsRetention:
    """A walk that knows no pause, for 30 days."""
    monkeypatch.setattr(results_retention, "BATCH_INTERVAL", 0.0)
    return ResultsRetention(session, Settings.from_env(SETTINGS | {"RESULTS_RETENTION": "30"}))


def walk(old: ResultsRetention) -> int:
    """Walk to the end, and return in how many portions."""
    for number in range(1, 10_000):
        if old.delete_some() > results_retention.BATCH_INTERVAL:
            return number
    raise AssertionError("the walk finds no end")


@pytest.mark.parametrize(
    ("ages", "left"),
    [
        (["40 days", "10 days", "35 days"], ["10 days"]),
        (["29 days", "31 days"], ["29 days"]),
        (["30 days"], ["30 days"]),
        # a quiet model keeps its last one, and of two at the same time the later one
        (["50 days", "40 days"], ["40 days"]),
        (["40 days", "40 days", "50 days", "50 days"], ["40 days"]),
        # what lies ahead does not count yet, and is nothing to lean on
        (["50 days", "40 days", "-10 minutes"], ["40 days", "-00:10:00"]),
        (["50 days", "40 days", "-4 minutes"], ["-00:04:00"]),
    ],
)
def test_what_is_old_goes_but_for_the_newest_that_counts(
    db: Connection, old: ResultsRetention, ages: list[str], left: list[str]
) -> None:
    set_clock(db, NOON)
    run(db, ADD, MODEL, ages)
    newest = one(db, "SELECT id FROM newest_label_rows(%s::uuid[])", [MODEL])

    walk(old)

    assert [age for (age,) in rows(db, AGES, MODEL)] == left
    assert one(db, "SELECT id FROM newest_label_rows(%s::uuid[])", [MODEL]) == newest


def test_rows_of_no_time_at_all_are_no_obstacle(db: Connection, old: ResultsRetention) -> None:
    run(
        db,
        "INSERT INTO results (model_id, y_true, y_pred, timestamp) SELECT %s, '[]', '[]', unnest(%s)::timestamptz",
        MODEL, ["-infinity", "4000-01-01 BC", "infinity", "2020-01-01", "-infinity"],
    )  # fmt: skip

    walk(old)

    assert rows(db, "SELECT timestamp::text FROM results ORDER BY timestamp") == [
        ("2020-01-01 00:00:00+00",),
        ("infinity",),
    ]


def test_nothing_goes_unless_somebody_wants_it(db: Connection, start: Start) -> None:
    run(db, ADD, MODEL, ["4000 days", "3000 days"])

    work(start())

    assert one(db, "SELECT count(*) FROM results") == 2


def test_the_leader_does_it_when_nothing_is_due(db: Connection, start: Start) -> None:
    run(db, ADD, MODEL, ["40 days", "35 days"])

    work(start(RESULTS_RETENTION="30"))

    assert len(rows(db, AGES, MODEL)) == 1


def test_shortly_before_a_moment_it_does_not_begin(db: Connection, start: Start) -> None:
    set_clock(db, "2026-11-24 11:59:59.500+00")
    schedule(db)
    run(db, ADD, MODEL, ["40 days", "35 days"])

    work(start(RESULTS_RETENTION="30"))

    assert len(rows(db, AGES, MODEL)) == 2


def test_it_goes_in_small_portions_and_on_after_a_restart(
    db: Connection, session: Connection, old: ResultsRetention
) -> None:
    run(db, ADD_MANY, {"models": 7, "rows": 2007})
    counts = [one(db, "SELECT count(*) FROM results")]
    for _ in range(10):
        old.delete_some()
        counts.append(one(db, "SELECT count(*) FROM results"))
    assert counts[-1] > 7

    restarted = ResultsRetention(session, Settings.from_env(SETTINGS | {"RESULTS_RETENTION": "30"}))
    walk(restarted)

    assert max(before - after for before, after in pairwise(counts)) <= results_retention.MAX_BATCH_SIZE
    assert one(db, "SELECT count(*) FROM results") == 7


def test_many_models_with_nothing_to_delete_are_walked_in_portions_too(db: Connection, old: ResultsRetention) -> None:
    run(db, ADD_MANY, {"models": 3000, "rows": 3000})

    assert walk(old) >= 3000 / results_retention.MAX_BATCH_SIZE
    assert one(db, "SELECT count(*) FROM results") == 3000


def test_after_a_walk_it_rests_and_then_begins_anew(
    db: Connection, old: ResultsRetention, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results_retention, "SCAN_INTERVAL", 3.0)
    walk(old)
    run(db, ADD, MODEL, ["40 days", "35 days"])
    assert 0.0 < old.delete_some() < 3.0
    assert len(rows(db, AGES, MODEL)) == 2

    wait_for(lambda: old.delete_some() and len(rows(db, AGES, MODEL)) == 1)


def test_a_row_that_somebody_has_locked_is_left(db: Connection, database_url: str, old: ResultsRetention) -> None:
    run(db, ADD, MODEL, ["40 days", "50 days", "60 days"])
    run(db, ADD, OTHER, ["40 days", "50 days"])
    with closing(psycopg2.connect(database_url)) as user:
        run(user, "UPDATE results SET y_true = '[0]' WHERE id = 2")

        began = time.monotonic()
        walk(old)

        assert time.monotonic() - began < 1.0
        assert rows(db, "SELECT id FROM results ORDER BY id") == [(1,), (2,), (4,)]


def test_a_table_that_somebody_has_locked_is_left_for_a_minute(
    db: Connection, database_url: str, old: ResultsRetention, caplog: pytest.LogCaptureFixture
) -> None:
    run(db, ADD, MODEL, ["40 days", "50 days"])
    with closing(psycopg2.connect(database_url)) as user:
        run(user, "LOCK TABLE results IN ACCESS EXCLUSIVE MODE")

        began = time.monotonic()
        pause = old.delete_some()

        assert time.monotonic() - began < 0.5
        assert pause == RETRY_DELAY
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
    ids=["no right", "a foreign key"],
)
def test_where_it_may_not_it_says_so_and_the_scheduler_goes_on(
    db: Connection, start: Start, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture,
    change: str, undo: str, reason: str,
) -> None:  # fmt: skip
    set_clock(db, BEFORE)
    schedule(db)
    run(db, ADD, MODEL, ["40 days", "50 days"])
    leader = start(RESULTS_RETENTION="30")
    run(db, change)
    try:
        work(leader)
        set_clock(db, NOON)
        work(leader)
    finally:
        run(db, undo)

    assert len(published_messages(redis_client)) == 1
    assert one(db, "SELECT error FROM leader") is None
    assert len(rows(db, AGES, MODEL)) == 2
    assert f"old rows of results not deleted: {reason}" in caplog.text


def test_a_lost_connection_is_for_others_to_mend(db: Connection, session: Connection, old: ResultsRetention) -> None:
    run(db, "SELECT pg_terminate_backend(%s)", session.info.backend_pid)

    with pytest.raises(psycopg2.Error):
        old.delete_some()


def test_an_empty_table_is_soon_walked(old: ResultsRetention) -> None:
    assert walk(old) <= 2
    assert 0.0 < old.delete_some() <= SCAN_INTERVAL


def test_a_moment_that_comes_meanwhile_is_not_late(db: Connection, run_scheduler: Run) -> None:
    run(db, ADD_MANY, {"models": 100, "rows": 100_000})
    approach(db, datetime(2030, 6, 1, 12, tzinfo=UTC), timedelta(minutes=10))  # the scheduler has to start first
    schedule(db, cron="0 12 * * *")
    run_scheduler(RESULTS_RETENTION="30")
    wait_for(lambda: one(db, "SELECT count(*) FROM results") < 100_000)
    approach(db, datetime(2030, 6, 1, 12, tzinfo=UTC), timedelta(seconds=3))
    wait_for(lambda: one(db, "SELECT count(*) FROM fires"))
    left = one(db, "SELECT count(*) FROM results")

    assert one(db, "SELECT max(lag) FROM fires") < timedelta(seconds=0.3)
    assert left > 100
    wait_for(lambda: one(db, "SELECT count(*) FROM results") < left)
