"""Workers as processes, and batches for them."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
import redis

from core.results.models import Result
from core.results.repository import ResultStore
from devstack.services import WORKER
from scheduler.queue import Queue
from tests.support.databases import MODEL, Connection, Databases, rows, run, schedule_many, wait_for
from tests.support.processes import Service, running_service

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.fixture
def env(databases: Databases, database_url: str, redis_url: str) -> dict[str, str]:
    return {"DATABASE_URL": databases.url_as("metrics_worker", database_url), "REDIS_URL": redis_url}


@pytest.fixture
def queue(redis_client: redis.Redis) -> Queue:
    return Queue(redis_client)


@contextmanager
def worker(env: dict[str, str], tmp_path: Path) -> Iterator[Service]:
    with running_service(WORKER, env, tmp_path / "worker.log") as running:
        wait_for(lambda: " ready." in running.output)
        yield running


def latest(client: redis.Redis, model_id: str = MODEL) -> Result | None:
    return ResultStore(client).latest(model_id)


def count(client: redis.Redis) -> int:
    return sum(1 for _ in client.scan_iter("metrics:results:*"))


def statuses(client: redis.Redis, model_ids: Sequence[str]) -> list[str]:
    """Return the status of each model's latest result, as far as there is one."""
    return [result.status for model_id in model_ids if (result := latest(client, model_id))]


def children(running: Service) -> list[int]:
    pid = running.popen.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def stopped_pool(running: Service) -> Iterator[None]:
    """Stop the pool's processes: what the worker receives meanwhile begins afterwards."""
    pids = children(running)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def big_batch(db: Connection, rows_: int, labels: int) -> list[str]:
    """Schedule models whose batch takes a while."""
    schedule_many(db, rows_)
    run(
        db,
        "INSERT INTO results (model_id, y_true, y_pred) SELECT model_id, labels.json, labels.json"
        " FROM metrics_executions, (SELECT json_agg(n %% 10) AS json FROM generate_series(1, %s) AS n) AS labels",
        labels,
    )
    return [model_id for (model_id,) in rows(db, "SELECT model_id::text FROM metrics_executions")]
