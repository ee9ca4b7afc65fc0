"""Isolation of models: an unreadable label row affects only its model, and a slow server costs no result."""

from datetime import timedelta
from pathlib import Path

import pytest
import redis

from core.queue.batch import Batch
from scheduler.queue import Queue
from tests.support.databases import MODEL, Connection, execute, fetch_all, model_ids, wait_for
from tests.support.workers import (
    NOON,
    count_models_with_results,
    insert_model,
    insert_models,
    latest_result,
    latest_statuses,
    running_worker,
    wait_for_results,
)

SHORT_TIME_LIMIT = {"TIME_LIMIT": "6"}  # a statement may take 2 seconds
MAX_CLOCK_SKEW = "CREATE OR REPLACE FUNCTION public.max_clock_skew() RETURNS interval LANGUAGE {}"
RESTORE_SERVER = MAX_CLOCK_SKEW.format("sql IMMUTABLE PARALLEL SAFE RETURN interval '5 minutes'")
SLOW_SERVER = MAX_CLOCK_SKEW.format(
    "plpgsql VOLATILE AS $$ BEGIN PERFORM pg_sleep(5); RETURN interval '5 minutes'; END $$"
)
BROKEN_SERVER = MAX_CLOCK_SKEW.format(
    "plpgsql VOLATILE AS $$ BEGIN RETURN interval '5 minutes' / (random() < 0)::integer; END $$"
)


@pytest.mark.parametrize("server", [SLOW_SERVER, BROKEN_SERVER], ids=["slow", "broken"])
def test_server_that_is_slow_or_broken_for_all_models_counts_as_an_outage(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path, server: str
) -> None:
    ids = list(model_ids(3))
    insert_models(db, ids)
    execute(db, server)
    with running_worker(env | SHORT_TIME_LIMIT, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON), Batch([MODEL], NOON, isolated=True).message(NOON))
        insert_model(db)
        wait_for(lambda: "batch delayed" in worker.output, seconds=20)
        wait_for(lambda: "requeued" in worker.output, seconds=30)
        assert count_models_with_results(redis_client) == 0
        execute(db, RESTORE_SERVER)
        wait_for_results(redis_client, 4, seconds=40)

    assert set(latest_statuses(redis_client, [*ids, MODEL])) == {"ok"}


# Reading the labels of the second model takes long, or fails, as those of a row on a corrupted page do.
BREAK_SECOND_ROW = """
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
def test_unreadable_label_row_is_an_error_of_its_model_while_others_are_readable(
    db: Connection,
    env: dict[str, str],
    queue: Queue,
    redis_client: redis.Redis,
    tmp_path: Path,
    slow: bool,
    error: str,
) -> None:
    ids = list(model_ids(4))
    insert_models(db, ids)
    [(definition,)] = fetch_all(db, "SELECT pg_get_functiondef('newest_label_rows(uuid[])'::regprocedure)")
    execute(db, BREAK_SECOND_ROW.format(slow=slow))
    try:
        with running_worker(env | SHORT_TIME_LIMIT, tmp_path):
            queue.send(Batch(ids, NOON).message(NOON))
            wait_for_results(redis_client, 4, seconds=40)
    finally:
        execute(db, definition)
        execute(db, "DROP FUNCTION odd_labels")

    assert latest_statuses(redis_client, ids) == ["ok", "error", "ok", "ok"]
    result = latest_result(redis_client, ids[1])
    assert result is not None
    assert error in str(result.error)


def test_statement_cancelled_by_an_administrator_is_retried(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    insert_models(db, [MODEL])
    execute(db, SLOW_SERVER.replace("pg_sleep(5)", "pg_sleep(1)"))
    cancel = """
        SELECT pg_cancel_backend(pid) FROM pg_stat_activity
        WHERE application_name LIKE '%worker%' AND state = 'active' AND query LIKE '%newest_label_rows%'
    """
    try:
        with running_worker(env | SHORT_TIME_LIMIT, tmp_path) as worker:
            queue.send(Batch([MODEL], NOON, isolated=True).message(NOON))
            for _ in range(3):
                wait_for(lambda: fetch_all(db, cancel))
            wait_for_results(redis_client, 1, seconds=20)
            assert "due to user request" in worker.output
    finally:
        execute(db, RESTORE_SERVER)

    assert latest_statuses(redis_client, [MODEL]) == ["ok"]


@pytest.mark.parametrize("timestamp", ["0044-03-15 BC", "-infinity"])
def test_label_row_at_a_time_that_python_cannot_represent_isolates_no_model(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path, timestamp: str
) -> None:
    ids = list(model_ids(20))
    insert_models(db, ids)
    execute(db, "UPDATE results SET timestamp = %s WHERE model_id = %s", timestamp, ids[7])
    with running_worker(env, tmp_path) as worker:
        for minute in range(2):
            queue.send(Batch(ids, NOON + timedelta(minutes=minute)).message(NOON))
        wait_for(lambda: worker.output.count("calculated 20 models") == 2)

    assert latest_statuses(redis_client, ids) == ["ok"] * 7 + ["error"] + ["ok"] * 12
    result = latest_result(redis_client, ids[7])
    assert result is not None
    assert result.error == "the timestamp of the row is not of the years 2 to 9998"
