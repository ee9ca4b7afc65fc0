"""The main job with all processes: a schedule leads to an accuracy that the API shows."""

import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from sklearn.metrics import accuracy_score

from devstack import redis as local_redis
from tests.support.databases import (
    MODEL,
    Databases,
    log_labels,
    one,
    past_the_triggers,
    rows,
    run,
    schedule,
    schedule_many,
    wait_for,
)
from tests.support.processes import runs_within, scale_to_idle_machine
from tests.support.service_stack import Stack, running_stack

DATA = Path("sql/900_test_data.sql")


@pytest.fixture(scope="module")
def stack(
    databases: Databases, redis_server: local_redis.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    with running_stack(databases, redis_server.url, tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(autouse=True)
def _quiet(stack: Stack) -> None:
    stack.reset()


@pytest.fixture
def model() -> str:
    return str(uuid.uuid4())


def test_a_posted_schedule_leads_to_an_accuracy(stack: Stack) -> None:
    """With the test data, as in the README."""
    run(stack.db, DATA.read_text())
    run(stack.db, "DELETE FROM metrics_executions")
    y_true, y_pred, newest = rows(
        stack.db,
        "SELECT y_true, y_pred, id FROM results WHERE model_id = %s ORDER BY timestamp DESC, id DESC LIMIT 1",
        MODEL,
    )[0]

    assert stack.call("/schedule", "POST", {"model_id": MODEL, "cron_expression": "*/1 * * * *"})[0] == 201
    assert stack.call(f"/results/{MODEL}")[0] == 404
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    result = stack.wait_for_result(MODEL, "12:00")

    assert result["status"] == "ok"
    assert result["metrics"] == {"accuracy": accuracy_score(y_true, y_pred)}
    assert (result["result_id"], result["samples"]) == (newest, len(y_true))

    log_labels(stack.db, "[1, 0]", "[1, 1]")
    minutes = iter(["12:01", "12:02", "12:03"])

    def seconds_to_the_result() -> float:
        minute, started = next(minutes), time.monotonic()
        stack.set_minute(minute)
        assert stack.wait_for_result(MODEL, minute)["metrics"] == {"accuracy": 0.5}
        return time.monotonic() - started

    assert runs_within(seconds_to_the_result, 1.0)
    assert stack.call("/schedule", "POST", {"model_id": MODEL, "cron_expression": "@daily"})[0] == 200
    assert one(stack.db, "SELECT count(*) FROM metrics_executions") == 1


def test_the_same_in_sql_alone(stack: Stack, model: str) -> None:
    log_labels(stack.db, '["a", "b"]', '["a", "a"]', model)

    schedule(stack.db, model, "0 12 * * *")
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    assert stack.wait_for_result(model, "12:00")["metrics"] == {"accuracy": 0.5}

    run(stack.db, "UPDATE metrics_executions SET cron_expression = '1,3 12 * * *' WHERE model_id = %s", model)
    stack.wait_until_scheduled()
    stack.set_minute("12:01")
    stack.wait_for_result(model, "12:01")

    run(stack.db, "UPDATE metrics_executions SET enabled = false")
    stack.set_minute("12:03")
    run(stack.db, "UPDATE metrics_executions SET run_requested_at = now()")
    wait_for(lambda: stack.call(f"/results/{model}")[1]["due_at"] == "2026-11-24T12:03:00.000Z")
    assert one(stack.db, "SELECT max(due_at) FROM fires WHERE models > 0").minute == 1


def test_a_paused_schedule_runs_when_it_is_told_to(stack: Stack, model: str) -> None:
    log_labels(stack.db, "[1, 0]", "[1, 1]", model)
    assert stack.call(f"/schedule/{model}", "PUT", {"cron_expression": "@yearly", "enabled": False})[0] == 201

    status, requested = stack.call(f"/schedule/{model}/run", "POST")
    assert (status, requested["model_id"]) == (202, model)
    result: Any = wait_for(lambda: (found := stack.call(f"/results/{model}"))[0] == 200 and found[1])

    assert (result["due_at"], result["metrics"]) == (requested["due_at"], {"accuracy": 0.5})
    assert stack.call(f"/results/{model}/history")[1] == [result]
    details = stack.call(f"/schedule/{model}")[1]
    assert (details["status"], details["last_result"], details["reason"]) == ("paused", result, "it is paused")


def test_a_thousand_models_have_one_result_a_minute(stack: Stack, redis_server: Any) -> None:
    schedule_many(stack.db, 1000)
    ids = [model_id for (model_id,) in rows(stack.db, "SELECT model_id::text FROM metrics_executions")]
    run(
        stack.db,
        "INSERT INTO results (model_id, y_true, y_pred, timestamp)"
        " SELECT model_id, '[1, 1]', '[1, 0]', schedule_now() FROM metrics_executions",
    )
    stack.wait_until_scheduled()
    with redis.Redis.from_url(redis_server.url) as client:

        def counts() -> set[int]:
            with client.pipeline() as pipeline:
                for model_id in ids:
                    pipeline.zcard(f"metrics:results:{model_id}")
                return set(pipeline.execute())

        for minute, expected in (("12:00", 1), ("12:01", 2), ("12:02", 3)):
            stack.set_minute(minute)
            wait_for(lambda expected=expected: counts() == {expected})  # type: ignore[misc]


BAD_ROWS = [("R R * * *", "UTC"), ("0 0 31 2 *", "UTC"), ("0 12 * * *", "America/Argentina"), ("5/15 * * * *", "CET")]


@pytest.mark.parametrize(("cron", "zone"), BAD_ROWS)
def test_a_bad_row_that_got_past_the_gate_costs_only_itself(stack: Stack, model: str, cron: str, zone: str) -> None:
    bad = str(uuid.uuid4())
    for model_id in (model, bad):
        log_labels(stack.db, "[1]", "[1]", model_id)
    with past_the_triggers(stack.db):
        schedule(stack.db, bad, cron, zone)
    schedule(stack.db, model)
    run(stack.db, "SELECT pg_notify('metrics_executions', '{\"pairs\": null}')")  # look at all, as it does now and then
    stack.wait_until_scheduled()

    stack.set_minute("12:00")
    stack.wait_for_result(model, "12:00")
    reason = one(stack.db, "SELECT error FROM crons WHERE error IS NOT NULL")
    assert cron in reason or zone in reason
    assert rows(stack.db, "SELECT status, error FROM schedule_status WHERE model_id = %s", bad) == [("error", reason)]
    status, whole = stack.call("/status")
    assert (status, whole["errors"]["count"], len(whole["problems"])) == (503, 1, 1)
    _, answer = stack.call(f"/schedule/{bad}")
    assert (answer["status"], answer["error"], answer["next_run_at"]) == ("error", reason, None)
    assert stack.call(f"/results/{bad}")[0] == 404

    run(
        stack.db,
        "UPDATE metrics_executions SET cron_expression = '1 12 * * *', timezone = 'UTC' WHERE model_id = %s",
        bad,
    )
    assert stack.call("/status")[0] == 200
    stack.wait_until_scheduled()
    assert stack.call(f"/schedule/{bad}")[1]["next_run_at"] == "2026-11-24T12:01:00Z"
    stack.set_minute("12:01")
    stack.wait_for_result(bad, "12:01")


@pytest.mark.parametrize("name", ["scheduler", "worker", "api"])
def test_a_process_that_was_killed_goes_on(stack: Stack, model: str, name: str) -> None:
    log_labels(stack.db, "[1]", "[1]", model)
    schedule(stack.db, model)
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    stack.wait_for_result(model, "12:00")

    stack.services[name].kill()
    stack.set_minute("12:01")
    stack.services[name].start()

    assert stack.wait_for_result(model, "12:01")["metrics"] == {"accuracy": 1.0}


@pytest.mark.parametrize("name", ["scheduler", "worker", "api"])
def test_a_process_ends_on_sigterm(stack: Stack, name: str) -> None:
    ready = {"scheduler": "leads", "worker": " ready.", "api": "Serving on"}[name]
    process = stack.services[name]

    wait_for(lambda: ready in process.latest_output)
    process.kill()

    def seconds_to_the_end() -> float:
        began = time.monotonic()
        process.start()
        wait_for(lambda: ready in process.latest_output)
        started = time.monotonic()
        assert process.stop() == 0
        return scale_to_idle_machine(time.monotonic() - started, started - began)

    assert runs_within(seconds_to_the_end, 5.0)
    process.start()
    wait_for(lambda: stack.call("/readyz")[0] == 200)
