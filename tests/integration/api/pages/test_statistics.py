"""How many schedules of each kind there are, and how many models are due in each minute of the coming hour."""

import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
import redis
from psycopg2.extensions import cursor

from api.pages import statistics
from api.pages.statistics import Census, Counting, take
from api.settings import Settings
from core.cron.spec import CronSpec, next_due_time
from core.results.keys import FAILING_KEY
from core.results.repository import ResultStore
from tests.support.databases import (
    DEADLINE,
    Connection,
    Databases,
    past_the_triggers,
    run,
    schedule,
    schedule_many,
    set_clock,
    wait_for,
)

NOW = datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC)


@pytest.fixture
def statements(databases: Databases, database_url: str, db: Connection) -> Iterator[cursor]:
    set_clock(db, str(NOW))
    connection = psycopg2.connect(databases.url_as("metrics_api", database_url))
    connection.autocommit = True
    with connection.cursor() as opened:
        yield opened
    connection.close()


@pytest.fixture
def results(redis_client: redis.Redis) -> ResultStore:
    return ResultStore(redis_client)


def add(db: Connection, count: int, cron: str, *, due: str | None, error: str | None = None) -> None:
    """Add schedules of a pair of their own, as old as the day."""
    with past_the_triggers(db):
        run(
            db,
            "INSERT INTO metrics_executions (model_id, cron_expression, active_since)"
            " SELECT gen_random_uuid(), %s, '2026-11-24 00:00Z' FROM generate_series(1, %s)",
            cron, count,
        )  # fmt: skip
    if due or error:
        moment = f"2026-11-24 {due}Z" if due else None
        run(db, "INSERT INTO crons VALUES (%s, 'UTC', %s, NULL, %s, 'x')", cron, moment, error)


def test_each_schedule_is_counted_once(
    db: Connection, redis_client: redis.Redis, statements: cursor, results: ResultStore
) -> None:
    add(db, 5, "0 12 * * *", due="12:00")
    add(db, 4, "58 11 * * *", due="11:58")
    add(db, 3, "1 12 * * *", due=None)
    add(db, 2, "r r * * *", due=None, error="not understood")
    schedule(db, str(uuid.UUID(int=1)), "58 11 * * *")  # edited since it is late
    run(db, "UPDATE metrics_executions SET enabled = false WHERE cron_expression = '1 12 * * *'")
    schedule(db, str(uuid.UUID(int=2)), "2 12 * * *")
    with db.cursor() as asked:
        asked.execute("SELECT model_id::text FROM metrics_executions WHERE cron_expression = '0 12 * * *' LIMIT 2")
        redis_client.zadd(FAILING_KEY, {model_id: 1.0 for (model_id,) in asked.fetchall()})
    redis_client.zadd(FAILING_KEY, {str(uuid.uuid4()): 1.0 for _ in range(3)})  # without schedules

    found = take(statements, results)

    assert (found.scheduled, found.late, found.new, found.error, found.paused) == (6, 4, 1, 2, 3)
    assert (found.failing, found.fine, found.total) == (2, 4, 16)


def test_what_is_beyond_the_bound_is_counted_as_failing(
    db: Connection, redis_client: redis.Redis, statements: cursor, results: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "MOST_CHECKED", 2)
    redis_client.zadd(FAILING_KEY, {str(uuid.uuid4()): 1.0 for _ in range(5)})
    add(db, 4, "0 12 * * *", due="12:00")

    assert take(statements, results).failing == 3


def test_what_is_no_model_does_not_keep_it_from_counting(
    redis_client: redis.Redis, statements: cursor, results: ResultStore
) -> None:
    redis_client.zadd(FAILING_KEY, {b"junk": 1.0, b"\xff": 2.0})

    assert take(statements, results).failing == 0


def test_no_more_fail_than_there_are(
    db: Connection, redis_client: redis.Redis, statements: cursor, results: ResultStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where many schedules were deleted whose models failed."""
    monkeypatch.setattr(statistics, "MOST_CHECKED", 2)
    redis_client.zadd(FAILING_KEY, {str(uuid.uuid4()): 1.0 for _ in range(5)})
    add(db, 1, "0 12 * * *", due="12:00")

    found = take(statements, results)

    assert (found.failing, found.fine) == (1, 0)


def test_the_coming_hour_has_what_is_due_in_it(db: Connection, statements: cursor, results: ResultStore) -> None:
    expected = [0] * 60
    start = NOW.replace(second=0)
    for count, cron in enumerate(
        ["* * * * *", "*/5 * * * *", "0 12 * * *", "58 12 * * *", "59 12 * * *", "0 9 * * *"], 1
    ):
        following = next_due_time(CronSpec(cron, "UTC"), NOW).next_due_at
        assert following
        add(db, count, cron, due=f"{following:%H:%M}" if following.day == 24 else None)
        if following.day != 24:
            run(db, "INSERT INTO crons VALUES (%s, 'UTC', %s, NULL, NULL, 'x')", cron, following)
        fire: datetime | None = following
        while fire and fire < start + timedelta(hours=1):
            expected[(fire - start) // timedelta(minutes=1)] += count
            fire = next_due_time(CronSpec(cron, "UTC"), fire).next_due_at

    found = take(statements, results)

    assert list(found.minutes) == expected
    assert (expected[0], expected[1], expected[59]) == (0, 1 + 2 + 3, 1 + 4)


def test_it_is_counted_once_a_minute_for_all_who_look(
    databases: Databases, database_url: str, db: Connection, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.url_as("metrics_api", database_url)
    counting = Counting(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": redis_url}))
    schedule_many(db, 3)

    first = [counting.latest(DEADLINE) for _ in range(5)]
    schedule_many(db, 1)
    second = counting.latest(DEADLINE)
    monkeypatch.setattr(statistics, "COUNT_EVERY", 0.05)
    time.sleep(0.1)

    assert {found and found.total for found in first} == {3}
    assert second is first[0]
    wait_for(lambda: total(counting.latest(0)) == 4)


def total(found: Census | None) -> int:
    return found.total if found else -1


def test_a_count_that_fails_is_tried_again_and_costs_nobody_the_page(
    databases: Databases, database_url: str, db: Connection, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = databases.url_as("metrics_api", database_url)
    counting = Counting(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0"}))
    assert counting.latest(0.2) is None

    monkeypatch.setattr(counting, "_settings", Settings.from_env({"DATABASE_URL": url, "REDIS_URL": redis_url}))
    monkeypatch.setattr(statistics, "COUNT_EVERY", 0.05)

    wait_for(lambda: total(counting.latest(0)) == 0)


def test_what_was_counted_long_ago_is_not_shown(
    databases: Databases, database_url: str, db: Connection, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody looked for a while, or it cannot be counted any more."""
    url = databases.url_as("metrics_api", database_url)
    counting = Counting(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": redis_url}))
    assert total(counting.latest(DEADLINE)) == 0
    monkeypatch.setattr(statistics, "COUNT_EVERY", 0.05)
    monkeypatch.setattr(statistics, "TOO_OLD", 0.1)
    schedule_many(db, 3)
    time.sleep(0.2)

    assert total(counting.latest(DEADLINE)) == 3

    monkeypatch.setattr(
        counting, "_settings", Settings.from_env({"DATABASE_URL": url, "REDIS_URL": "redis://127.0.0.1:1/0"})
    )
    time.sleep(0.2)
    assert counting.latest(0.2) is None
