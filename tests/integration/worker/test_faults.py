"""Worker process during faults of PostgreSQL, Redis and the worker itself."""

import signal
import time
import uuid
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import redis

from core.queue.batch import Batch
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY
from devstack import redis as local_redis
from devstack.services import WORKER
from scheduler.queue import Queue
from tests.support.databases import MODEL, Connection, Databases, execute, model_ids, wait_for
from tests.support.processes import running_service
from tests.support.workers import (
    NOON,
    QUICK_REDELIVERY,
    child_pids,
    count_blocked_clients,
    count_models_with_results,
    has_no_messages,
    insert_large_batch,
    insert_model,
    insert_models,
    latest_result,
    latest_statuses,
    running_worker,
    signal_pool,
    suspended_pool,
    wait_for_first_result,
    wait_for_result,
    wait_for_results,
)


def test_batch_of_a_killed_worker_is_finished_by_another_worker(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = insert_large_batch(db, 30, 100_000)
    with running_worker(env | QUICK_REDELIVERY, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for_first_result(redis_client)
        worker.kill()
        assert count_models_with_results(redis_client) < len(ids)

    with running_worker(env | QUICK_REDELIVERY, tmp_path):
        wait_for_results(redis_client, len(ids))

    assert set(latest_statuses(redis_client, ids)) == {"ok"}


def test_message_sent_to_a_worker_that_dies_before_reading_it_is_redelivered(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Redis has removed it from the queue by then."""
    insert_model(db)
    with running_worker(env | QUICK_REDELIVERY, tmp_path) as worker:
        wait_for(lambda: count_blocked_clients(redis_client) == 1)
        worker.popen.send_signal(signal.SIGSTOP)
        queue.send(Batch([MODEL], NOON).message(NOON))
        wait_for(lambda: redis_client.llen(QUEUE) == 0)
        worker.kill()

    with running_worker(env | QUICK_REDELIVERY, tmp_path):
        assert wait_for_result(redis_client).status == "ok"


def test_hanging_process_of_the_pool_is_killed_and_its_batch_finished(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = insert_large_batch(db, 30, 100_000)
    with running_worker(env | QUICK_REDELIVERY, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for_first_result(redis_client)
        hanging = child_pids(worker)
        signal_pool(worker, signal.SIGSTOP)

        wait_for_results(redis_client, len(ids))
        wait_for(lambda: not set(hanging) <= set(child_pids(worker)))

    assert set(latest_statuses(redis_client, ids)) == {"ok"}


def test_label_row_that_exceeds_the_memory_limit_is_an_error_of_its_model_only(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """One row is too large for Python, the other one even for the library that receives it."""
    ids = model_ids(4)
    insert_models(db, ids)
    for model_id, labels in ((ids[1], 2_000_000), (ids[3], 12_000_000)):
        execute(
            db,
            "INSERT INTO results (model_id, y_true, y_pred) SELECT %s, labels.json, labels.json"
            " FROM (SELECT ('[' || repeat('1.0,', %s) || '1]')::json AS json) AS labels",
            model_id, labels,
        )  # fmt: skip
    with running_worker(env | {"MEMORY_LIMIT": "40"}, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for_results(redis_client, len(ids))
        assert worker.popen.poll() is None

    assert latest_statuses(redis_client, ids) == ["ok", "error", "ok", "error"]
    too_large = latest_result(redis_client, ids[3])
    assert too_large is not None
    assert too_large.error == "the row is too large for the worker's memory"


def test_label_row_before_year_1_is_an_error_of_its_model_only(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = model_ids(3)
    insert_models(db, ids)
    execute(db, "UPDATE results SET timestamp = '0044-03-15 12:00 BC' WHERE model_id = %s", ids[1])
    with running_worker(env, tmp_path):
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for_results(redis_client, len(ids))
        wait_for(lambda: has_no_messages(redis_client))

    assert latest_statuses(redis_client, ids) == ["ok", "error", "ok"]


def test_lost_connections_to_redis_do_not_interrupt_a_running_batch(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Not even several in a row: no process has died."""
    ids = insert_large_batch(db, 30, 200_000)
    with running_worker(env, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for_first_result(redis_client)
        for _ in range(3):
            redis_client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.3)

        wait_for_results(redis_client, len(ids))

    assert set(latest_statuses(redis_client, ids)) == {"ok"}
    assert "interrupted" not in worker.output


def test_message_of_100_000_models_is_split(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    insert_model(db)
    unscheduled = [str(uuid.uuid4()) for _ in range(100_000)]

    queue.send(Batch([*unscheduled, MODEL], NOON).message(NOON))

    with running_worker(env, tmp_path):
        assert wait_for_result(redis_client).status == "ok"
    assert count_models_with_results(redis_client) == 1


def test_full_redis_loses_no_result(databases: Databases, db: Connection, database_url: str, tmp_path: Path) -> None:
    ids = insert_large_batch(db, 12, 100_000)
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_worker", database_url), "REDIS_URL": server.url}
        client.config_set("maxmemory", 1)
        with running_service(WORKER, env, tmp_path / "worker.log") as worker:
            wait_for(lambda: "OutOfMemoryError" in worker.output)
            client.config_set("maxmemory", 0)
            wait_for(lambda: " ready." in worker.output)
            client.config_set("maxmemory", 1)
            wait_for(lambda: "Redis replied with an error" in worker.output)
            client.config_set("maxmemory", 0)
            with suspended_pool(worker):
                Queue(client).send(Batch(ids, NOON).message(NOON))
                wait_for(lambda: "received" in worker.output)
                client.config_set("maxmemory", 1)
            wait_for(lambda: "batch delayed: Redis: " in worker.output)
            assert count_models_with_results(client) < len(ids)
            client.config_set("maxmemory", 0)

            wait_for_results(client, len(ids))
            assert worker.popen.poll() is None
            assert set(latest_statuses(client, ids)) == {"ok"}


def test_batch_is_delayed_while_postgresql_refuses_its_queries(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """A table lock delays it in its process; a missing privilege that lasts longer, at the end of the queue."""
    insert_model(db)
    with running_worker(env | {"TIME_LIMIT": "8"}, tmp_path) as worker:
        execute(db, "BEGIN; LOCK TABLE results IN ACCESS EXCLUSIVE MODE")
        queue.send(Batch([MODEL], NOON).message(NOON))
        wait_for(lambda: "batch delayed: PostgreSQL: canceling statement due to lock timeout" in worker.output)
        execute(db, "ROLLBACK; REVOKE SELECT ON results FROM metrics_worker")
        wait_for(lambda: "batch of 1 models failed, requeued: PostgreSQL: permission denied" in worker.output)
        execute(db, "GRANT SELECT ON results TO metrics_worker")

        assert wait_for_result(redis_client).status == "ok"


def test_batch_is_finished_after_postgresql_is_killed_in_the_middle_of_it(
    databases: Databases, db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = insert_large_batch(db, 24, 300_000)  # read in four portions
    with running_worker(env, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for_first_result(redis_client)
        databases.server.process.kill()
        wait_for(lambda: "batch delayed: PostgreSQL" in worker.output)
        databases.restart()

        wait_for_results(redis_client, len(ids))
        assert worker.popen.poll() is None

    assert set(latest_statuses(redis_client, ids)) == {"ok"}


@pytest.mark.parametrize("hours", [-3, 3])
def test_clock_of_the_workers_host_does_not_affect_redelivery(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path, hours: str
) -> None:
    """The batch is redelivered neither while the worker runs, nor only hours after it has died."""
    ids = insert_large_batch(db, 12, 300_000)
    with running_service(
        ["tests.support.shifted_clock", str(hours), *WORKER], env | QUICK_REDELIVERY, tmp_path / "shifted.log"
    ) as worker:
        wait_for(lambda: " ready." in worker.output)
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: "received" in worker.output)
        unacked: Any = redis_client.zrange(UNACKED_INDEX_KEY, 0, -1, withscores=True)
        now: Any = redis_client.time()
        assert [abs(taken_at - now[0]) <= 2 for _, taken_at in unacked] == [True]
        worker.kill()

    with running_worker(env | QUICK_REDELIVERY, tmp_path):
        wait_for_results(redis_client, len(ids))


def test_worker_continues_after_redis_was_restarted_empty_in_the_middle_of_a_batch(
    databases: Databases, db: Connection, database_url: str, tmp_path: Path
) -> None:
    """The message of the batch is lost then; the scheduler publishes it again."""
    ids = insert_large_batch(db, 4, 1_000_000)
    insert_model(db)
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_worker", database_url), "REDIS_URL": server.url}
        with running_worker(env, tmp_path) as worker:
            queue = Queue(client)
            queue.send(Batch(ids, NOON).message(NOON))
            wait_for(lambda: "received" in worker.output)
            server.process.kill()
            time.sleep(0.5)  # time for the worker to notice
            server.process.start()
            wait_for(lambda: local_redis.is_ready(server.url))

            queue.send(Batch([MODEL], NOON).message(NOON))

            wait_for_result(client)
            assert worker.popen.poll() is None


def test_worker_continues_after_outages_of_postgresql_and_redis(
    databases: Databases, db: Connection, database_url: str, tmp_path: Path
) -> None:
    insert_model(db)
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_worker", database_url), "REDIS_URL": server.url}
        with running_worker(env, tmp_path) as worker:
            queue = Queue(client)
            queue.send(Batch([MODEL], NOON).message(NOON))
            wait_for_result(client)
            execute(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%worker%'")
            server.process.kill()
            server.process.start()
            wait_for(lambda: local_redis.is_ready(server.url))

            later = NOON + timedelta(minutes=1)
            queue.send(Batch([MODEL], later).message(later))

            wait_for_result(client, due_at=later)
            assert worker.popen.poll() is None
