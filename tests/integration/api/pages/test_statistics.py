"""Numbers of schedules by state, and of models due in each minute of the coming hour."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg2
import pytest
import redis
from psycopg2.extensions import cursor

from api.pages.statistics import FORECAST_MINUTES, count_schedules
from core.cron.spec import CronSpec, next_due_time
from core.results.keys import FAILING_KEY
from core.results.repository import ResultStore
from tests.support.databases import Connection, Databases, bypass_triggers, execute, fetch_all, schedule, set_clock

NOW = datetime(2026, 11, 24, 11, 59, 30, tzinfo=UTC)


@pytest.fixture
def cur(databases: Databases, database_url: str, db: Connection) -> Iterator[cursor]:
    set_clock(db, str(NOW))
    connection = psycopg2.connect(databases.url_as("metrics_api", database_url))
    connection.autocommit = True
    with connection.cursor() as cur:
        yield cur
    connection.close()


@pytest.fixture
def results(redis_client: redis.Redis) -> ResultStore:
    return ResultStore(redis_client)


def add_schedules(db: Connection, count: int, cron: str, *, due: str | None, error: str | None = None) -> None:
    """Add schedules of one cron spec, active since the beginning of the day."""
    with bypass_triggers(db):
        execute(
            db,
            "INSERT INTO metrics_executions (model_id, cron_expression, active_since)"
            " SELECT gen_random_uuid(), %s, '2026-11-24 00:00Z' FROM generate_series(1, %s)",
            cron, count,
        )  # fmt: skip
    if due or error:
        next_due_at = f"2026-11-24 {due}Z" if due else None
        execute(db, "INSERT INTO crons VALUES (%s, 'UTC', %s, NULL, %s, 'x')", cron, next_due_at, error)


def add_failures_without_schedule(redis_client: redis.Redis, count: int) -> None:
    redis_client.zadd(FAILING_KEY, {str(uuid.uuid4()): 1.0 for _ in range(count)})


def test_each_schedule_is_counted_once(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore
) -> None:
    add_schedules(db, 5, "0 12 * * *", due="12:00")
    add_schedules(db, 4, "58 11 * * *", due="11:58")
    add_schedules(db, 3, "1 12 * * *", due=None)
    add_schedules(db, 2, "r r * * *", due=None, error="not understood")
    schedule(db, str(uuid.UUID(int=1)), "58 11 * * *")  # edited since it is late
    execute(db, "UPDATE metrics_executions SET enabled = false WHERE cron_expression = '1 12 * * *'")
    schedule(db, str(uuid.UUID(int=2)), "2 12 * * *")
    failing = fetch_all(
        db, "SELECT model_id::text FROM metrics_executions WHERE cron_expression = '0 12 * * *' LIMIT 2"
    )
    redis_client.zadd(FAILING_KEY, {model_id: 1.0 for (model_id,) in failing})
    add_failures_without_schedule(redis_client, 3)

    counts = count_schedules(cur, results)

    assert (counts.scheduled, counts.late, counts.new, counts.error, counts.paused) == (6, 4, 1, 2, 3)
    assert (counts.failing, counts.fine, counts.total) == (2, 4, 16)


def test_unchecked_failures_count_as_failing(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore
) -> None:
    add_failures_without_schedule(redis_client, 5)
    add_schedules(db, 4, "0 12 * * *", due="12:00")

    assert count_schedules(cur, results, max_checked_failures=2).failing == 3


def test_invalid_model_ids_in_redis_are_ignored(redis_client: redis.Redis, cur: cursor, results: ResultStore) -> None:
    redis_client.zadd(FAILING_KEY, {b"junk": 1.0, b"\xff": 2.0})

    assert count_schedules(cur, results).failing == 0


def test_failing_is_at_most_scheduled(
    db: Connection, redis_client: redis.Redis, cur: cursor, results: ResultStore
) -> None:
    """If many schedules of failing models were deleted."""
    add_failures_without_schedule(redis_client, 5)
    add_schedules(db, 1, "0 12 * * *", due="12:00")

    counts = count_schedules(cur, results, max_checked_failures=2)

    assert (counts.failing, counts.fine) == (1, 0)


def test_due_per_minute_counts_models_of_each_minute(db: Connection, cur: cursor, results: ResultStore) -> None:
    expected = [0] * FORECAST_MINUTES
    start = NOW.replace(second=0)
    for count, cron in enumerate(
        ["* * * * *", "*/5 * * * *", "0 12 * * *", "58 12 * * *", "59 12 * * *", "0 9 * * *"], 1
    ):
        next_due_at = next_due_time(CronSpec(cron, "UTC"), NOW).next_due_at
        assert next_due_at
        add_schedules(db, count, cron, due=f"{next_due_at:%H:%M}" if next_due_at.day == 24 else None)
        if next_due_at.day != 24:
            execute(db, "INSERT INTO crons VALUES (%s, 'UTC', %s, NULL, NULL, 'x')", cron, next_due_at)
        due_at: datetime | None = next_due_at
        while due_at and due_at < start + timedelta(hours=1):
            expected[(due_at - start) // timedelta(minutes=1)] += count
            due_at = next_due_time(CronSpec(cron, "UTC"), due_at).next_due_at

    counts = count_schedules(cur, results)

    assert list(counts.due_per_minute) == expected
    assert (expected[0], expected[1], expected[59]) == (0, 1 + 2 + 3, 1 + 4)
