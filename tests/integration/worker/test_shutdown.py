"""Shutdown of the worker process on SIGTERM."""

import signal
import time
from pathlib import Path

import pytest
import redis

from core.queue.batch import Batch
from core.queue.keys import TAKEN_KEY, UNACKED_INDEX_KEY
from devstack.ports import free_port
from devstack.services import WORKER
from scheduler.queue import Queue
from tests.support.celery_queue import published_messages
from tests.support.databases import DEFAULT_TIMEOUT, MODEL, Connection, wait_for
from tests.support.processes import Service, running_service, runs_within, scale_to_idle_machine
from tests.support.proxy import Proxy
from tests.support.workers import (
    NOON,
    count_blocked_clients,
    count_models_with_results,
    insert_large_batch,
    running_worker,
    signal_pool,
    wait_for_first_result,
)


def test_idle_worker_ends_at_once_on_sigterm(env: dict[str, str], tmp_path: Path) -> None:
    def time_to_stop() -> float:
        started_at = time.monotonic()
        with running_worker(env, tmp_path, Service) as worker:  # its start is measured
            ready_at = time.monotonic()
            worker.stop()
            return scale_to_idle_machine(time.monotonic() - ready_at, ready_at - started_at)

    assert runs_within(time_to_stop, 5.0)


def test_worker_requeues_its_unfinished_batch_on_sigterm(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = insert_large_batch(db, 20, 1_000_000)

    def time_to_stop() -> float:
        redis_client.flushall()
        started_at = time.monotonic()
        with running_worker(env, tmp_path, Service) as worker:  # its start is measured
            start_time = time.monotonic() - started_at
            queue.send(Batch(ids, NOON).message(NOON))
            wait_for_first_result(redis_client)
            stopped_at = time.monotonic()
            worker.stop()
            stop_time = time.monotonic() - stopped_at
        assert count_models_with_results(redis_client) < len(ids)
        assert [message["model_ids"] for message in published_messages(redis_client)] == [ids]
        return scale_to_idle_machine(stop_time, start_time)

    assert runs_within(time_to_stop, 5.0)


@pytest.mark.parametrize("busy", [False, True])
def test_message_that_arrives_while_a_worker_ends_stays_in_the_queue(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path, busy: bool
) -> None:
    ids = insert_large_batch(db, 8, 600_000)
    with running_worker(env, tmp_path) as worker:
        if busy:
            queue.send(Batch(ids, NOON).message(NOON))
            wait_for(lambda: "received" in worker.output)
        wait_for(lambda: count_blocked_clients(redis_client) == 1)  # a little later than " ready."
        worker.popen.terminate()
        queue.send(Batch([MODEL], NOON).message(NOON))
        assert worker.popen.wait(DEFAULT_TIMEOUT) == 0

    assert [MODEL] in [message["model_ids"] for message in published_messages(redis_client)]
    assert not redis_client.exists(TAKEN_KEY, UNACKED_INDEX_KEY)
    assert "Unrecoverable" not in worker.output


def test_worker_with_a_stopped_process_in_its_pool_ends_on_sigterm(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = insert_large_batch(db, 8, 600_000)
    with running_worker(env, tmp_path) as worker:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: "received" in worker.output)
        signal_pool(worker, signal.SIGSTOP)

        worker.popen.terminate()
        worker.popen.wait(15)

    assert [message["model_ids"] for message in published_messages(redis_client)] == [ids]


def test_worker_ends_on_sigterm_while_it_waits_for_redis(tmp_path: Path) -> None:
    env = {"DATABASE_URL": "postgresql://unused", "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with running_service(WORKER, env, tmp_path / "worker.log") as worker:
        wait_for(lambda: "Cannot connect" in worker.output)

        assert worker.stop() == 0
        assert "Traceback" not in worker.output


def test_worker_ends_on_sigterm_while_redis_does_not_respond(
    env: dict[str, str], redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    with Proxy(redis_url) as network, running_worker(env | {"REDIS_URL": network.url}, tmp_path) as worker:
        wait_for(lambda: count_blocked_clients(redis_client) == 1)
        network.silence()
        time.sleep(1.5)  # the worker waits for a reply

        worker.popen.terminate()
        assert worker.popen.wait(20) == 0
