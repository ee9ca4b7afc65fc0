"""Batches: results of single models, interruptions, and time limits."""

import signal
import time
from datetime import timedelta
from pathlib import Path

import redis

from core.metrics.confusion_matrix import ConfusionMatrix
from core.queue.batch import Batch
from core.results.models import LatestConfusion
from core.results.repository import ResultStore
from scheduler.queue import Queue
from tests.support.databases import (
    MODEL,
    Connection,
    execute,
    fetch_all,
    fetch_value,
    insert_label_row,
    model_ids,
    schedule,
    wait_for,
)
from tests.support.workers import (
    NOON,
    insert_large_batch,
    insert_model,
    latest_result,
    latest_statuses,
    running_worker,
    signal_pool,
    suspended_pool,
    wait_for_first_result,
    wait_for_result,
    wait_for_results,
)

COUNT_SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'cyclic-metrics worker' AND datname = current_database()
"""


def wait_for_attempts(client: redis.Redis, count: int) -> None:
    """Wait until so many attempts at isolated models are recorded."""
    wait_for(lambda: sum(int(client.scard(key)) for key in client.scan_iter("metrics:begun:*")) == count)


def test_each_model_of_a_batch_gets_its_own_result(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    labels = {
        "good": ("[1, 0, 1]", "[1, 1, 1]"),
        "strings": ('["a", "b"]', '["a", "b"]'),
        "nulls": ("[1, null]", "[1, 1]"),
        "continuous": ("[0.5, 1]", "[1, 1]"),
        "empty": ("[]", "[]"),
        "deep": ("[" * 2000 + "]" * 2000, "[1]"),
        "digits": ("[" + "9" * 5000 + "]", "[1]"),
    }
    ids = dict(zip([*labels, "no row", "paused", "deleted"], model_ids(20), strict=False))
    for name in [*labels, "no row", "paused"]:
        schedule(db, ids[name])
    for name, (y_true, y_pred) in labels.items():
        insert_label_row(db, y_true, y_pred, ids[name])
    execute(db, "UPDATE metrics_executions SET enabled = false WHERE model_id = %s", ids["paused"])

    queue.send(Batch([*ids.values()], NOON).message(NOON))
    with running_worker(env, tmp_path):
        wait_for_results(redis_client, 8)
        results = {name: latest_result(redis_client, model_id) for name, model_id in ids.items()}
        confusions = {name: ResultStore(redis_client).latest_confusion(model_id) for name, model_id in ids.items()}

    assert results["paused"] is None
    assert results["deleted"] is None
    scores = {
        name: (result.status, result.accuracy, result.samples, result.error)
        for name, result in results.items()
        if result
    }
    assert scores.pop("deep")[0] == "error"
    assert scores.pop("digits")[0] == "error"
    assert scores == {
        "good": ("ok", 2 / 3, 3, None),
        "strings": ("ok", 1.0, 2, None),
        "nulls": ("error", None, 0, "y_true holds null at position 1, which is no label"),
        "continuous": ("error", None, 0, "y_true holds 0.5 at position 0: continuous numbers have no accuracy"),
        "empty": ("no_data", None, 0, "the newest row has no labels"),
        "no row": ("no_data", None, 0, "the model has no row in results"),
    }
    assert {name: confusion for name, confusion in confusions.items() if confusion} == {
        "good": LatestConfusion(NOON, ConfusionMatrix([0, 1], [[0, 1], [0, 2]])),
        "strings": LatestConfusion(NOON, ConfusionMatrix(["a", "b"], [[1, 0], [0, 1]])),
    }
    good = results["good"]
    assert good is not None
    assert good.due_at == NOON
    assert fetch_all(db, "SELECT id, timestamp FROM results WHERE model_id = %s", ids["good"]) == [
        (good.result_id, good.data_timestamp)
    ]


def test_requested_run_of_a_paused_schedule_is_calculated(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    insert_model(db)
    execute(db, "UPDATE metrics_executions SET enabled = false")

    queue.send(Batch([MODEL], NOON, requested=True).message(NOON))
    with running_worker(env, tmp_path):
        assert wait_for_result(redis_client).status == "ok"


def test_killed_process_of_the_pool_loses_no_result(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = insert_large_batch(db, 12, 100_000)
    with running_worker(env, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for_first_result(redis_client)
        signal_pool(worker, signal.SIGKILL)

        wait_for_results(redis_client, len(ids))

    assert set(latest_statuses(redis_client, ids)) == {"ok"}


def test_model_that_kills_every_process_gets_an_error_after_three_attempts(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """It is redelivered, isolated, and attempted twice more."""
    [model_id] = insert_large_batch(db, 1, 3_000_000)
    with running_worker(env, tmp_path) as worker:
        queue.send(Batch([model_id], NOON).message(NOON))
        wait_for(lambda: fetch_value(db, COUNT_SESSIONS))
        signal_pool(worker, signal.SIGKILL)
        for attempts in (1, 2):
            wait_for_attempts(redis_client, attempts)
            signal_pool(worker, signal.SIGKILL)

        result = wait_for_result(redis_client, model_id)

    assert (result.status, result.error) == ("error", "calculation was interrupted three times")


def test_batch_that_exceeds_the_time_limit_is_requeued_and_isolates_no_model(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = insert_large_batch(db, 80, 200_000)  # each takes a small part of the time limit, also under load
    with running_worker(env | {"TIME_LIMIT": "3"}, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))

        wait_for_results(redis_client, len(ids))

        assert "requeued: 3 s do not suffice" in worker.output
        assert "isolated" not in worker.output
        assert "took longer" not in worker.output
    assert set(latest_statuses(redis_client, ids)) == {"ok"}


def test_model_that_exceeds_the_time_limit_is_an_error_of_its_own(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    [slow] = insert_large_batch(db, 1, 6_000_000)
    ids = [slow, *model_ids(3)]
    for model_id in ids[1:]:
        insert_model(db, model_id)
    limit = 6  # and as long again until the kill, in which the exception has to be raised, however busy the machine is
    with running_worker(env | {"TIME_LIMIT": str(limit)}, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: fetch_value(db, COUNT_SESSIONS))
        with suspended_pool(worker):
            time.sleep(limit + 0.2)  # the time limit of the batch passes
        wait_for_results(redis_client, len(ids) - 1)  # the others, each isolated
        for attempt in range(2):
            wait_for_attempts(redis_client, len(ids) + attempt)
            with suspended_pool(worker):
                time.sleep(limit + 0.2)  # that of the isolated slow model

        wait_for_results(redis_client, len(ids))

    result = latest_result(redis_client, slow)
    assert result is not None
    assert (result.status, result.error) == ("error", f"calculation took longer than {limit} s")
    assert latest_statuses(redis_client, ids[1:]) == ["ok"] * 3


def test_labels_of_an_unchanged_row_are_not_read_again(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Any change of the row, or of the newest row of its model, is detected."""
    insert_model(db, MODEL, "[1, 2]", "[1, 1]")
    results = []
    changes = [
        "SELECT",
        "SELECT",
        "UPDATE results SET y_pred = '[1, 2]'",
        "SELECT",
        "INSERT INTO results (model_id, y_true, y_pred) SELECT model_id, '[1, 2]', '[2, 1]' FROM metrics_executions",
        "DELETE FROM results WHERE id = 2",
        "SELECT",
    ]
    with running_worker(env, tmp_path):
        for minute, change in enumerate(changes):
            execute(db, change)
            due_at = NOON + timedelta(minutes=minute)
            queue.send(Batch([MODEL], due_at).message(due_at))
            results.append(wait_for_result(redis_client, due_at=due_at))

    assert [
        (result.status, result.accuracy, result.samples, result.result_id, result.unchanged) for result in results
    ] == [
        ("ok", 0.5, 2, 1, False),
        ("ok", 0.5, 2, 1, True),
        ("ok", 1.0, 2, 1, False),
        ("ok", 1.0, 2, 1, True),
        ("ok", 0.0, 2, 2, False),
        ("ok", 1.0, 2, 1, False),
        ("ok", 1.0, 2, 1, True),
    ]
    first, second = results[:2]
    assert second.calculated_at > first.calculated_at
    assert second.data_timestamp == first.data_timestamp
