"""Bad rows, keys and messages cost only themselves, and a slow server costs no model its result."""

import base64
import json
import logging
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from core import postgres
from core.queue.batch import Batch
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY, UNACKED_KEY
from core.results.keys import COUNTS_KEY, FAILING_KEY, confusion_key, results_key
from core.results.models import Result
from core.results.repository import ResultStore
from core.shared_keys import TYPES, remove_wrong_types
from scheduler.queue import Queue
from tests.integration.worker.conftest import NOON, count, latest, statuses, worker
from tests.support.celery_queue import raw_message
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    Databases,
    log_labels,
    model_ids,
    rows,
    run,
    schedule,
    wait_for,
)
from worker import queries
from worker.attempts import clear_attempt, record_attempt

QUICK = {"TIME_LIMIT": "6"}  # a statement may take 2 seconds
MAX_CLOCK_SKEW = "CREATE OR REPLACE FUNCTION public.max_clock_skew() RETURNS interval LANGUAGE {}"
AS_BEFORE = MAX_CLOCK_SKEW.format("sql IMMUTABLE PARALLEL SAFE RETURN interval '5 minutes'")
SLOW_SERVER = MAX_CLOCK_SKEW.format(
    "plpgsql VOLATILE AS $$ BEGIN PERFORM pg_sleep(5); RETURN interval '5 minutes'; END $$"
)
BROKEN_SERVER = MAX_CLOCK_SKEW.format(
    "plpgsql VOLATILE AS $$ BEGIN RETURN interval '5 minutes' / (random() < 0)::integer; END $$"
)


def fill(db: Connection, ids: list[str]) -> None:
    for model_id in ids:
        schedule(db, model_id)
        log_labels(db, "[1, 0]", "[1, 1]", model_id)


@pytest.mark.parametrize("server", [SLOW_SERVER, BROKEN_SERVER], ids=["slow", "broken"])
def test_a_server_that_is_slow_or_broken_for_all_is_an_outage(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path, server: str
) -> None:
    ids = list(model_ids(3))
    fill(db, ids)
    run(db, server)
    with worker(env | QUICK, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON), Batch([MODEL], NOON, isolated=True).message(NOON))
        schedule(db, MODEL)
        log_labels(db, "[1]", "[1]")
        wait_for(lambda: "waits" in running.output, seconds=20)
        wait_for(lambda: "requeued" in running.output, seconds=30)
        assert count(redis_client) == 0
        run(db, AS_BEFORE)
        wait_for(lambda: count(redis_client) == 4, seconds=40)

    assert set(statuses(redis_client, [*ids, MODEL])) == {"ok"}


# Reading the labels of one model takes long, or fails, as those of a row on a damaged page.
ONE_ROW = """
    CREATE FUNCTION odd_labels(id uuid, labels json) RETURNS json LANGUAGE plpgsql AS $$
        BEGIN
            IF id = '00000000-0000-0000-0000-000000000002' THEN
                IF {slow} THEN
                    PERFORM pg_sleep(30);
                ELSE
                    RAISE EXCEPTION 'missing chunk number 0' USING ERRCODE = 'XX001';
                END IF;
            END IF;
            RETURN labels;
        END $$;
    CREATE OR REPLACE FUNCTION public.newest_label_rows(model_ids uuid[])
    RETURNS TABLE (model_id uuid, id bigint, y_true json, y_pred json, "timestamp" timestamptz, version text)
    LANGUAGE sql STABLE AS $$
        SELECT model_id, id, odd_labels(model_id, y_true), y_pred, "timestamp", xmin::text
        FROM results WHERE model_id = ANY (model_ids)
    $$
"""


@pytest.mark.parametrize(("slow", "error"), [(True, "statement timeout"), (False, "missing chunk")])
def test_one_row_that_cannot_be_read_while_others_can_is_that_models_error(
    databases: Databases,
    db: Connection,
    env: dict[str, str],
    queue: Queue,
    redis_client: redis.Redis,
    tmp_path: Path,
    slow: bool,
    error: str,
) -> None:
    ids = list(model_ids(4))
    fill(db, ids)
    [(as_before,)] = rows(db, "SELECT pg_get_functiondef('newest_label_rows(uuid[])'::regprocedure)")
    run(db, ONE_ROW.format(slow=slow))
    try:
        with worker(env | QUICK, tmp_path):
            queue.send(Batch(ids, NOON).message(NOON))
            wait_for(lambda: count(redis_client) == 4, seconds=40)
    finally:
        run(db, as_before)
        run(db, "DROP FUNCTION odd_labels")

    assert statuses(redis_client, ids) == ["ok", "error", "ok", "ok"]
    found = latest(redis_client, ids[1])
    assert found is not None
    assert error in str(found.error)


def test_a_statement_that_an_administrator_cancels_is_tried_again(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    fill(db, [MODEL])
    run(db, SLOW_SERVER.replace("pg_sleep(5)", "pg_sleep(1)"))
    cancel = """
        SELECT pg_cancel_backend(pid) FROM pg_stat_activity
        WHERE application_name LIKE '%worker%' AND state = 'active' AND query LIKE '%newest_label_rows%'
    """
    try:
        with worker(env | QUICK, tmp_path) as running:
            queue.send(Batch([MODEL], NOON, isolated=True).message(NOON))
            for _ in range(3):
                wait_for(lambda: rows(db, cancel))
            wait_for(lambda: count(redis_client) == 1, seconds=20)
            assert "due to user request" in running.output
    finally:
        run(db, AS_BEFORE)

    assert statuses(redis_client, [MODEL]) == ["ok"]


@pytest.mark.parametrize("timestamp", ["0044-03-15 BC", "-infinity"])
def test_a_row_of_a_time_that_python_does_not_know_takes_no_batch_apart(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path, timestamp: str
) -> None:
    ids = list(model_ids(20))
    fill(db, ids)
    run(db, "UPDATE results SET timestamp = %s WHERE model_id = %s", timestamp, ids[7])
    with worker(env, tmp_path) as running:
        for minute in range(2):
            queue.send(Batch(ids, NOON + timedelta(minutes=minute)).message(NOON))
        wait_for(lambda: running.output.count("calculated 20 models") == 2)

    assert statuses(redis_client, ids) == ["ok"] * 7 + ["error"] + ["ok"] * 12
    found = latest(redis_client, ids[7])
    assert found is not None
    assert found.error == "the timestamp of the row is not of the years 2 to 9998"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("infinity", postgres.MAX_TIMESTAMP),
        ("-infinity", postgres.MIN_TIMESTAMP),
        ("20000-01-01", postgres.MAX_TIMESTAMP),
        ("0044-03-15 BC", postgres.MIN_TIMESTAMP),
        ("0001-01-01 00:00+00", postgres.MIN_TIMESTAMP),
        ("9999-12-31 23:59:59+00", postgres.MAX_TIMESTAMP),
        ("2026-11-24 12:00:00.5+02", datetime(2026, 11, 24, 10, 0, 0, 500000, UTC)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_times_that_python_does_not_know_are_read_as_the_first_or_last_ones(
    databases: Databases, database_url: str, text: str, expected: datetime, zone: str
) -> None:
    session = postgres.connect(database_url, "tests")
    run(session, f"SET timezone = '{zone}'")
    [(found, none)] = rows(session, "SELECT %s::timestamptz, NULL::timestamptz", text)
    session.close()

    assert found == expected
    assert found.astimezone(UTC) == expected
    assert none is None


def test_a_message_of_a_later_version_is_run(
    db: Connection, env: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> None:
    """With an argument that this one does not know, and a header."""
    fill(db, [MODEL])
    message = json.loads(raw_message([MODEL], NOON))
    args, kwargs, embedded = json.loads(base64.b64decode(message["body"]))
    body = [args, kwargs | {"backfill": {"portion": 3}, "priority": None}, embedded]
    message["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    message["headers"]["scoring"] = 7
    redis_client.lpush(QUEUE, json.dumps(message))
    with worker(env, tmp_path):
        wait_for(lambda: count(redis_client) == 1)

    assert statuses(redis_client, [MODEL]) == ["ok"]


def result(model_id: str = MODEL, due_at: datetime = NOON, **values: Any) -> Result:
    fields: dict[str, Any] = {"calculated_at": due_at, "status": "ok", "accuracy": 1.0, "samples": 1}
    return Result(model_id, due_at, **(fields | values))


def test_a_models_key_of_another_type_costs_no_other_model_anything(
    redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    ids = list(model_ids(5))
    for name in (results_key(ids[1]), confusion_key(ids[3])):
        redis_client.xadd(name, {"a": "b"})
    results = ResultStore(redis_client)
    assert results.missing(ids, NOON) == ids
    assert results.latest_of(ids) == [None] * 5
    assert results.history(ids[1], None, None, limit=5, newest_first=True) == []
    assert results.latest_confusion(ids[3]) is None

    results.save([result(model_id) for model_id in ids])

    assert [found and found.due_at for found in results.latest_of(ids)] == [NOON] * 5
    assert f"deleted Redis key of another type than expected: {results_key(ids[1])}" in caplog.text


@pytest.mark.parametrize("name", [FAILING_KEY, COUNTS_KEY])
def test_a_key_of_all_models_that_is_of_another_type_is_made_anew(redis_client: redis.Redis, name: str) -> None:
    redis_client.set(name, "junk")
    results = ResultStore(redis_client)
    assert results.totals().failing == results.count_failing() == 0
    assert results.failing(None, 5) == []
    assert results.which_fail([MODEL]) == [False]

    results.save([result(status="no_data", accuracy=None), result(OTHER)])

    assert results.totals().added == {"ok": 1, "no_data": 1, "error": 0}
    assert results.which_fail([MODEL, OTHER]) == [True, False]


def test_counters_that_are_no_numbers_begin_anew(redis_client: redis.Redis) -> None:
    redis_client.hset(COUNTS_KEY, mapping={"ok": "x", "error": b"\xff", "no_data": "1.5"})
    results = ResultStore(redis_client)
    assert results.totals().added == {"ok": 0, "no_data": 0, "error": 0}

    results.save([result(), result(OTHER, status="error", accuracy=None)])

    assert results.totals().added == {"ok": 1, "no_data": 0, "error": 1}


def test_the_count_of_attempts_survives_a_key_of_another_type(redis_client: redis.Redis) -> None:
    assert record_attempt(redis_client, MODEL, NOON, "a") == 1
    [name] = redis_client.scan_iter("metrics:begun:*")
    redis_client.set(name, "junk")

    clear_attempt(redis_client, MODEL, NOON, "a")
    assert record_attempt(redis_client, MODEL, NOON, "b") == 1
    assert record_attempt(redis_client, MODEL, NOON, "c") == 2


def test_a_result_that_was_trimmed_is_neither_added_nor_counted_again(redis_client: redis.Redis) -> None:
    results = ResultStore(redis_client, history=3)
    times = [NOON + timedelta(minutes=minute) for minute in range(5)]
    results.save(result(due_at=due_at) for due_at in times)

    results.save([result(due_at=times[0]), result(due_at=times[1])])

    found = results.history(MODEL, None, None, limit=10, newest_first=False)
    assert [one.due_at for one in found] == times[2:]
    assert results.totals().added["ok"] == 5


def test_results_of_a_clock_that_was_ahead_do_not_hide_that_a_model_fails(redis_client: redis.Redis) -> None:
    """Nor does a clock that is behind for a moment cost any result: they stay until an operator removes them."""
    results = ResultStore(redis_client)
    tomorrow = NOON + timedelta(days=1)
    results.save([result(due_at=NOON - timedelta(minutes=1))])
    results.save([result(due_at=tomorrow, status="no_data", accuracy=None)])
    assert results.which_fail([MODEL]) == [True]

    results.save([result(status="error", accuracy=None)])
    assert [failure.since for failure in results.failing(None, 5)] == [NOON.timestamp()]
    results.save([result(due_at=NOON + timedelta(minutes=1))])
    assert results.which_fail([MODEL]) == [False]
    assert len(results.history(MODEL, None, None, limit=10, newest_first=True)) == 4

    redis_client.zremrangebyscore(results_key(MODEL), f"({(NOON + timedelta(minutes=2)).timestamp()}", "+inf")
    found = results.latest(MODEL)
    assert found is not None
    assert found.due_at == NOON + timedelta(minutes=1)


def test_shared_keys_of_another_type_are_deleted_and_the_others_stay(redis_client: redis.Redis) -> None:
    redis_client.lpush(QUEUE, "message")
    for name in set(TYPES) - {QUEUE}:
        redis_client.xadd(name, {"a": "b"})

    assert remove_wrong_types(redis_client)
    assert not remove_wrong_types(redis_client)
    assert redis_client.keys() == [QUEUE.encode()]


def test_a_worker_works_whatever_type_the_shared_keys_are_of(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """At its start, and while it runs."""
    ids = list(model_ids(len(TYPES) + 1))
    fill(db, ids)
    for name in set(TYPES) - {QUEUE}:
        redis_client.set(name, "junk")
    with worker(env, tmp_path):
        for model_id, name in zip(ids, ["", *TYPES], strict=True):
            if name:
                redis_client.delete(name)
                redis_client.set(name, "junk")
                queue.state()  # as the scheduler asks before it sends
            queue.send(Batch([model_id], NOON).message(NOON))
            wait_for(lambda model_id=model_id: latest(redis_client, model_id))  # type: ignore[misc]
        wait_for(lambda: not queue.state().waiting)

    assert set(statuses(redis_client, ids)) == {"ok"}


def test_junk_among_the_taken_messages_keeps_none_from_being_given_back(
    db: Connection, env: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> None:
    """A message whose worker has died is behind them in the order of time."""
    fill(db, [MODEL])
    item = raw_message([MODEL], NOON)
    tag = json.loads(item)["properties"]["delivery_tag"]
    taken = f'[{item.decode()}, "", "celery"]'
    redis_client.hset(
        UNACKED_KEY,
        mapping={
            "a": b"\xff",
            "b": "[]",
            "c": "7",
            "d": '["x", "", "celery"]',
            tag: taken,
        },
    )
    redis_client.zadd(UNACKED_INDEX_KEY, {"a": 0, "b": 1, "c": 2, "d": 3, "none": 4, tag: 5, "late": 1e99})
    with worker(env | {"TIME_LIMIT": "1"}, tmp_path):
        wait_for(lambda: count(redis_client) == 1, seconds=30)
        wait_for(lambda: redis_client.zrange(UNACKED_INDEX_KEY, 0, -1) == [b"late"])

    assert statuses(redis_client, [MODEL]) == ["ok"]


def test_whether_other_rows_are_readable_is_told_without_them_too(
    databases: Databases, db: Connection, database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    session = postgres.connect(databases.url_as("metrics_worker", database_url), "tests")
    assert queries.other_rows_are_readable(session, [MODEL])
    fill(db, [MODEL])
    assert queries.other_rows_are_readable(session, [MODEL])
    fill(db, [OTHER])
    assert queries.other_rows_are_readable(session, [MODEL])
    run(db, BROKEN_SERVER)
    try:
        assert not queries.other_rows_are_readable(session, [MODEL])
        assert not queries.other_rows_are_readable(session, [MODEL, OTHER])
    finally:
        run(db, AS_BEFORE)
        session.close()
