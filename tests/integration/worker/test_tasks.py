"""The worker as a process: batches, bad data, interruptions."""

import os
import signal
import time
from datetime import timedelta
from pathlib import Path

import redis

from core.metrics.confusion_matrix import ConfusionMatrix
from core.queue.batch import Batch
from core.results.models import LatestConfusion
from core.results.repository import ResultStore
from devstack import redis as local_redis
from scheduler.queue import Queue
from tests.integration.worker.conftest import NOON, big_batch, children, count, latest, stopped_pool, worker
from tests.support.celery_queue import published_messages
from tests.support.databases import (
    MODEL,
    Connection,
    Databases,
    log_labels,
    model_ids,
    one,
    rows,
    run,
    schedule,
    wait_for,
)
from tests.support.processes import Service, runs_within, scale_to_idle_machine


def test_a_batch_of_good_and_bad_models_each_has_its_own_result(
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
        log_labels(db, y_true, y_pred, ids[name])
    run(db, "UPDATE metrics_executions SET enabled = false WHERE model_id = %s", ids["paused"])

    queue.send(Batch([*ids.values()], NOON).message(NOON))
    with worker(env, tmp_path):
        wait_for(lambda: count(redis_client) == 8)
        found = {name: latest(redis_client, model_id) for name, model_id in ids.items()}
        details = {name: ResultStore(redis_client).latest_confusion(model_id) for name, model_id in ids.items()}

    assert found["paused"] is None
    assert found["deleted"] is None
    shown = {name: (r.status, r.accuracy, r.samples, r.error) for name, r in found.items() if r}
    assert shown.pop("deep")[0] == "error"
    assert shown.pop("digits")[0] == "error"
    assert shown == {
        "good": ("ok", 2 / 3, 3, None),
        "strings": ("ok", 1.0, 2, None),
        "nulls": ("error", None, 0, "y_true holds null at position 1, which is no label"),
        "continuous": ("error", None, 0, "y_true holds 0.5 at position 0: continuous numbers have no accuracy"),
        "empty": ("no_data", None, 0, "the newest row has no labels"),
        "no row": ("no_data", None, 0, "the model has no row in results"),
    }
    assert {name: detail for name, detail in details.items() if detail} == {
        "good": LatestConfusion(NOON, ConfusionMatrix([0, 1], [[0, 1], [0, 2]])),
        "strings": LatestConfusion(NOON, ConfusionMatrix(["a", "b"], [[1, 0], [0, 1]])),
    }
    good = found["good"]
    assert good is not None
    assert good.due_at == NOON
    assert rows(db, "SELECT id, timestamp FROM results WHERE model_id = %s", ids["good"]) == [
        (good.result_id, good.data_timestamp)
    ]


def test_a_requested_run_is_for_paused_schedules_too(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    schedule(db)
    run(db, "UPDATE metrics_executions SET enabled = false")
    log_labels(db, "[1]", "[1]")

    queue.send(Batch([MODEL], NOON, requested=True).message(NOON))
    with worker(env, tmp_path):
        assert wait_for(lambda: latest(redis_client)).status == "ok"  # type: ignore[union-attr]


def test_a_killed_child_loses_nothing(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = big_batch(db, 12, 100_000)
    with worker(env, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: count(redis_client))
        kill_children(running)

        wait_for(lambda: count(redis_client) == len(ids))

    assert {result.status for model_id in ids if (result := latest(redis_client, model_id))} == {"ok"}


SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name = 'cyclic-metrics worker' AND datname = current_database()
"""


def attempts_alone(client: redis.Redis) -> int:
    """Return how many attempts with a model alone are noted."""
    return sum(int(client.scard(name)) for name in client.scan_iter("metrics:begun:*"))


def kill_children(running: Service) -> None:
    for child in children(running):
        os.kill(child, signal.SIGKILL)


def test_a_model_that_ends_every_process_gets_an_error_in_the_end(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """It comes back, is sent on alone, and begins twice more."""
    [model_id] = big_batch(db, 1, 3_000_000)
    with worker(env, tmp_path) as running:
        queue.send(Batch([model_id], NOON).message(NOON))
        wait_for(lambda: one(db, SESSIONS))
        kill_children(running)
        for attempts in (1, 2):
            wait_for(lambda attempts=attempts: attempts_alone(redis_client) == attempts)  # type: ignore[misc]
            kill_children(running)

        result = wait_for(lambda: latest(redis_client, model_id))

    assert result is not None
    assert (result.status, result.error) == ("error", "calculation was interrupted three times")


def test_a_batch_that_does_not_fit_into_the_time_limit_goes_on_and_nothing_is_done_twice(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = big_batch(db, 80, 200_000)  # each a small part of the time limit on a busy machine, too
    with worker(env | {"TIME_LIMIT": "3"}, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))

        wait_for(lambda: count(redis_client) == len(ids))

        assert "requeued: 3 s do not suffice" in running.output
        assert "isolated" not in running.output
        assert "took longer" not in running.output
    assert {result.status for model_id in ids if (result := latest(redis_client, model_id))} == {"ok"}


def test_a_model_that_takes_too_long_is_an_error_of_its_own(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    [slow] = big_batch(db, 1, 6_000_000)
    ids = [slow, *model_ids(3)]
    for model_id in ids[1:]:
        schedule(db, model_id)
        log_labels(db, "[1]", "[1]", model_id)
    limit = 4
    with worker(env | {"TIME_LIMIT": str(limit)}, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: one(db, SESSIONS))
        with stopped_pool(running):
            time.sleep(limit + 0.2)  # the time of the batch passes
        wait_for(lambda: count(redis_client) == len(ids) - 1)  # the others, each alone
        for attempt in range(2):
            wait_for(lambda attempt=attempt: attempts_alone(redis_client) == len(ids) + attempt)  # type: ignore[misc]
            with stopped_pool(running):
                time.sleep(limit + 0.2)  # that of the slow one, alone

        wait_for(lambda: count(redis_client) == len(ids))

    found = {model_id: latest(redis_client, model_id) for model_id in ids}
    assert (found[slow].status, found[slow].error) == ("error", f"calculation took longer than {limit} s")  # type: ignore[union-attr]
    assert {found[model_id].status for model_id in ids[1:]} == {"ok"}  # type: ignore[union-attr]


def test_a_row_that_has_not_changed_is_not_read_again(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Whatever is done to a row, or to its model, is seen."""
    schedule(db)
    log_labels(db, "[1, 2]", "[1, 1]")
    found = []
    changes = [
        "SELECT",
        "SELECT",
        "UPDATE results SET y_pred = '[1, 2]'",
        "SELECT",
        "INSERT INTO results (model_id, y_true, y_pred) SELECT model_id, '[1, 2]', '[2, 1]' FROM metrics_executions",
        "DELETE FROM results WHERE id = 2",
        "SELECT",
    ]
    with worker(env, tmp_path):
        for minute, change in enumerate(changes):
            run(db, change)
            due_at = NOON + timedelta(minutes=minute)
            queue.send(Batch([MODEL], due_at).message(due_at))
            wait_for(lambda due_at=due_at: (it := latest(redis_client)) and it.due_at == due_at)  # type: ignore[misc]
            found.append(latest(redis_client))

    shown = [(it.status, it.accuracy, it.samples, it.result_id, it.unchanged) for it in found if it]
    assert shown == [
        ("ok", 0.5, 2, 1, False),
        ("ok", 0.5, 2, 1, True),
        ("ok", 1.0, 2, 1, False),
        ("ok", 1.0, 2, 1, True),
        ("ok", 0.0, 2, 2, False),
        ("ok", 1.0, 2, 1, False),
        ("ok", 1.0, 2, 1, True),
    ]
    first, second = found[0], found[1]
    assert first
    assert second
    assert second.calculated_at > first.calculated_at
    assert second.data_timestamp == first.data_timestamp


def test_sigterm_finishes_a_batch_or_gives_it_back(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = big_batch(db, 20, 1_000_000)

    def seconds_to_the_end() -> float:
        redis_client.flushall()
        began = time.monotonic()
        with worker(env, tmp_path) as running:
            starting = time.monotonic() - began
            queue.send(Batch(ids, NOON).message(NOON))
            wait_for(lambda: count(redis_client))
            started = time.monotonic()
            running.stop()
            took = time.monotonic() - started
        assert count(redis_client) < len(ids)
        assert [message["model_ids"] for message in published_messages(redis_client)] == [ids]
        return scale_to_idle_machine(took, starting)

    assert runs_within(seconds_to_the_end, 5.0)


def test_an_idle_worker_ends_at_once(env: dict[str, str], tmp_path: Path) -> None:
    def seconds_to_the_end() -> float:
        began = time.monotonic()
        with worker(env, tmp_path) as running:
            started = time.monotonic()
            running.stop()
            return scale_to_idle_machine(time.monotonic() - started, started - began)

    assert runs_within(seconds_to_the_end, 5.0)


def test_it_goes_on_when_redis_ends_in_the_middle_of_a_batch(
    databases: Databases, db: Connection, database_url: str, tmp_path: Path
) -> None:
    """A Redis that returns empty: what the batch's message was is not known any more, and does not matter."""
    ids = big_batch(db, 4, 1_000_000)
    schedule(db)
    log_labels(db, "[1]", "[1]")
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_worker", database_url), "REDIS_URL": server.url}
        with worker(env, tmp_path) as running:
            queue = Queue(client)
            queue.send(Batch(ids, NOON).message(NOON))
            wait_for(lambda: "received" in running.output)
            server.process.kill()
            time.sleep(0.5)  # the worker notices
            server.process.start()
            wait_for(lambda: local_redis.answers(server.url))

            queue.send(Batch([MODEL], NOON).message(NOON))

            wait_for(lambda: latest(client))
            assert running.popen.poll() is None


def test_it_goes_on_when_postgresql_and_redis_were_away(
    databases: Databases, db: Connection, database_url: str, tmp_path: Path
) -> None:
    schedule(db)
    log_labels(db, "[1]", "[1]")
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_worker", database_url), "REDIS_URL": server.url}
        with worker(env, tmp_path) as running:
            queue = Queue(client)
            queue.send(Batch([MODEL], NOON).message(NOON))
            wait_for(lambda: latest(client))
            run(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%worker%'")
            server.process.kill()
            server.process.start()
            wait_for(lambda: local_redis.answers(server.url))

            later = NOON + timedelta(minutes=1)
            queue.send(Batch([MODEL], later).message(later))

            wait_for(lambda: (result := latest(client)) and result.due_at == later)
            assert running.popen.poll() is None
