"""Scheduled runs with all processes: a schedule leads to a result in the API."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sklearn.metrics import accuracy_score

from core.results.keys import results_key
from devstack import redis as local_redis
from tests.support.databases import (
    MODEL,
    Databases,
    bypass_triggers,
    execute,
    fetch_all,
    fetch_value,
    insert_label_row,
    schedule,
    schedule_many,
    wait_for,
)
from tests.support.processes import runs_within, scale_to_idle_machine
from tests.support.service_stack import Stack, running_stack

TEST_DATA = Path("sql/test_data.sql")
SERVICES = ["scheduler", "worker", "api"]
READY_LINES = {"scheduler": "is the leader", "worker": " ready.", "api": "Serving on"}

NEWEST_LABELS = "SELECT y_true, y_pred, id FROM results WHERE model_id = %s ORDER BY timestamp DESC, id DESC LIMIT 1"
INSERT_LABELS = """
    INSERT INTO results (model_id, y_true, y_pred, timestamp)
    SELECT model_id, '[1, 1]', '[1, 0]', schedule_now() FROM metrics_executions
"""
UPDATE_SPEC = "UPDATE metrics_executions SET cron_expression = %s, timezone = 'UTC' WHERE model_id = %s"


@pytest.fixture(scope="module")
def stack(
    databases: Databases, redis_server: local_redis.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with running_stack(databases, redis_server.url, tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(autouse=True)
def _reset(stack: Stack) -> None:
    stack.reset()


@pytest.fixture
def model() -> str:
    return str(uuid.uuid4())


def test_a_posted_schedule_leads_to_an_accuracy(stack: Stack) -> None:
    """With the test data, as in the README."""
    execute(stack.db, TEST_DATA.read_text())
    execute(stack.db, "DELETE FROM metrics_executions")
    [(y_true, y_pred, newest_id)] = fetch_all(stack.db, NEWEST_LABELS, MODEL)

    assert stack.call("/schedule", "POST", {"model_id": MODEL, "cron_expression": "*/1 * * * *"})[0] == 201
    assert stack.call(f"/results/{MODEL}")[0] == 404
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    result = stack.wait_for_result(MODEL, "12:00")

    assert result["status"] == "ok"
    assert result["metrics"] == {"accuracy": accuracy_score(y_true, y_pred)}
    assert (result["result_id"], result["samples"]) == (newest_id, len(y_true))

    insert_label_row(stack.db, "[1, 0]", "[1, 1]")
    minutes = iter(["12:01", "12:02", "12:03"])

    def seconds_to_result() -> float:
        minute, started = next(minutes), time.monotonic()
        stack.set_minute(minute)
        assert stack.wait_for_result(MODEL, minute)["metrics"] == {"accuracy": 0.5}
        return time.monotonic() - started

    assert runs_within(seconds_to_result, 1.0)
    assert stack.call("/schedule", "POST", {"model_id": MODEL, "cron_expression": "@daily"})[0] == 200
    assert fetch_value(stack.db, "SELECT count(*) FROM metrics_executions") == 1


def test_a_schedule_inserted_and_edited_by_sql_leads_to_results(stack: Stack, model: str) -> None:
    insert_label_row(stack.db, '["a", "b"]', '["a", "a"]', model)

    schedule(stack.db, model, "0 12 * * *")
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    assert stack.wait_for_result(model, "12:00")["metrics"] == {"accuracy": 0.5}

    execute(stack.db, UPDATE_SPEC, "1,3 12 * * *", model)
    stack.wait_until_scheduled()
    stack.set_minute("12:01")
    stack.wait_for_result(model, "12:01")

    execute(stack.db, "UPDATE metrics_executions SET enabled = false")
    stack.set_minute("12:03")
    execute(stack.db, "UPDATE metrics_executions SET run_requested_at = now()")
    wait_for(lambda: stack.call(f"/results/{model}")[1]["due_at"] == "2026-11-24T12:03:00.000Z")
    assert fetch_value(stack.db, "SELECT max(due_at) FROM fires WHERE models > 0").minute == 1


def test_a_paused_schedule_runs_on_request(stack: Stack, model: str) -> None:
    insert_label_row(stack.db, "[1, 0]", "[1, 1]", model)
    assert stack.call(f"/schedule/{model}", "PUT", {"cron_expression": "@yearly", "enabled": False})[0] == 201

    status, requested = stack.call(f"/schedule/{model}/run", "POST")
    assert (status, requested["model_id"]) == (202, model)
    result: Any = wait_for(lambda: (response := stack.call(f"/results/{model}"))[0] == 200 and response[1])

    assert (result["due_at"], result["metrics"]) == (requested["due_at"], {"accuracy": 0.5})
    assert stack.call(f"/results/{model}/history")[1] == [result]
    details = stack.call(f"/schedule/{model}")[1]
    assert (details["status"], details["last_result"], details["reason"]) == ("paused", result, "it is paused")


def test_a_thousand_models_have_one_result_a_minute(stack: Stack, redis_server: local_redis.Server) -> None:
    schedule_many(stack.db, 1000)
    model_ids = [model_id for (model_id,) in fetch_all(stack.db, "SELECT model_id::text FROM metrics_executions")]
    execute(stack.db, INSERT_LABELS)
    stack.wait_until_scheduled()
    with redis.Redis.from_url(redis_server.url) as client:

        def result_counts() -> set[int]:
            with client.pipeline() as pipeline:
                for model_id in model_ids:
                    pipeline.zcard(results_key(model_id))
                return set(pipeline.execute())

        for minute, expected in (("12:00", 1), ("12:01", 2), ("12:02", 3)):
            stack.set_minute(minute)
            wait_for(lambda expected=expected: result_counts() == {expected})  # type: ignore[misc]


INVALID_SPECS = [
    ("R R * * *", "UTC"),
    ("0 0 31 2 *", "UTC"),
    ("0 12 * * *", "America/Argentina"),
    ("5/15 * * * *", "CET"),
]


@pytest.mark.parametrize(("cron", "zone"), INVALID_SPECS)
def test_an_unvalidated_invalid_row_affects_only_itself(stack: Stack, model: str, cron: str, zone: str) -> None:
    invalid = str(uuid.uuid4())
    for model_id in (model, invalid):
        insert_label_row(stack.db, "[1]", "[1]", model_id)
    with bypass_triggers(stack.db):
        schedule(stack.db, invalid, cron, zone)
    schedule(stack.db, model)
    execute(
        stack.db, "SELECT pg_notify('metrics_executions', '{\"pairs\": null}')"
    )  # scan all rows, as every few minutes
    stack.wait_until_scheduled()

    stack.set_minute("12:00")
    stack.wait_for_result(model, "12:00")
    error = fetch_value(stack.db, "SELECT error FROM crons WHERE error IS NOT NULL")
    assert cron in error or zone in error
    assert fetch_all(stack.db, "SELECT status, error FROM schedule_status WHERE model_id = %s", invalid) == [
        ("error", error)
    ]
    status, body = stack.call("/status")
    assert (status, body["errors"]["count"], len(body["problems"])) == (503, 1, 1)
    details = stack.call(f"/schedule/{invalid}")[1]
    assert (details["status"], details["error"], details["next_run_at"]) == ("error", error, None)
    assert stack.call(f"/results/{invalid}")[0] == 404

    execute(stack.db, UPDATE_SPEC, "1 12 * * *", invalid)
    assert stack.call("/status")[0] == 200
    stack.wait_until_scheduled()
    assert stack.call(f"/schedule/{invalid}")[1]["next_run_at"] == "2026-11-24T12:01:00Z"
    stack.set_minute("12:01")
    stack.wait_for_result(invalid, "12:01")


@pytest.mark.parametrize("name", SERVICES)
def test_a_killed_process_recovers(stack: Stack, model: str, name: str) -> None:
    insert_label_row(stack.db, "[1]", "[1]", model)
    schedule(stack.db, model)
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    stack.wait_for_result(model, "12:00")

    stack.services[name].kill()
    stack.set_minute("12:01")
    stack.services[name].start()

    assert stack.wait_for_result(model, "12:01")["metrics"] == {"accuracy": 1.0}


@pytest.mark.parametrize("name", SERVICES)
def test_a_process_exits_on_sigterm(stack: Stack, name: str) -> None:
    ready_line = READY_LINES[name]
    process = stack.services[name]

    wait_for(lambda: ready_line in process.latest_output)
    process.kill()

    def seconds_to_exit() -> float:
        started = time.monotonic()
        process.start()
        wait_for(lambda: ready_line in process.latest_output)
        ready = time.monotonic()
        assert process.stop() == 0
        return scale_to_idle_machine(time.monotonic() - ready, ready - started)

    assert runs_within(seconds_to_exit, 5.0)
    process.start()
    wait_for(lambda: stack.call("/readyz")[0] == 200)
