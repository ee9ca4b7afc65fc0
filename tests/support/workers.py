"""Workers as processes, batches for them, and their results."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import redis

from core.queue.keys import QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY, UNACKED_KEY
from core.results.models import Result
from core.results.repository import ResultStore
from devstack.services import WORKER
from tests.support.databases import (
    DEFAULT_TIMEOUT,
    MODEL,
    Connection,
    execute,
    fetch_all,
    insert_label_row,
    schedule,
    schedule_many,
    wait_for,
)
from tests.support.processes import ForkedService, Service, running_service

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
# A message of a dead worker is redelivered after three times as long. No model may take so long, also while other
# processes keep all cores busy.
QUICK_REDELIVERY = {"TIME_LIMIT": "2"}


@contextmanager
def running_worker(
    env: dict[str, str], folder: Path, service_class: type[Service] = ForkedService
) -> Iterator[Service]:
    """Start a worker, and wait until it is ready."""
    with running_service(WORKER, env, folder / "worker.log", service_class) as worker:
        wait_for(lambda: " ready." in worker.output)
        yield worker


def child_pids(service: Service) -> list[int]:
    """Return the process ids of the children of a service: for a worker, those of its pool."""
    pid = service.popen.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def signal_pool(worker: Service, number: signal.Signals) -> None:
    """Send a signal to each process of the pool."""
    for pid in child_pids(worker):
        os.kill(pid, number)


@contextmanager
def suspended_pool(worker: Service) -> Iterator[None]:
    """Stop the processes of the pool: batches received in the meantime start afterwards."""
    pids = child_pids(worker)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def insert_model(db: Connection, model_id: str = MODEL, y_true: str = "[1]", y_pred: str = "[1]") -> None:
    """Insert a schedule and a label row of a model."""
    schedule(db, model_id)
    insert_label_row(db, y_true, y_pred, model_id)


def insert_models(db: Connection, model_ids: Sequence[str]) -> None:
    """Insert a schedule and a label row of each model."""
    for model_id in model_ids:
        insert_model(db, model_id, "[1, 0]", "[1, 1]")


def insert_large_batch(db: Connection, models: int, labels: int) -> list[str]:
    """Insert schedules with many labels each, whose batch takes a while; return their models."""
    schedule_many(db, models)
    execute(
        db,
        "INSERT INTO results (model_id, y_true, y_pred) SELECT model_id, labels.json, labels.json"
        " FROM metrics_executions, (SELECT json_agg(n %% 10) AS json FROM generate_series(1, %s) AS n) AS labels",
        labels,
    )
    return [model_id for (model_id,) in fetch_all(db, "SELECT model_id::text FROM metrics_executions")]


def latest_result(client: redis.Redis, model_id: str = MODEL) -> Result | None:
    return ResultStore(client).latest(model_id)


def wait_for_result(client: redis.Redis, model_id: str = MODEL, due_at: datetime | None = None) -> Result:
    """Wait until the latest result of the model is of the due time (None: of any), and return it."""

    def find_result() -> Result | None:
        result = latest_result(client, model_id)
        return result if result and due_at in {None, result.due_at} else None

    result = wait_for(find_result)
    assert result is not None
    return result


def count_models_with_results(client: redis.Redis) -> int:
    return sum(1 for _ in client.scan_iter("metrics:results:*"))


def wait_for_results(client: redis.Redis, models: int, seconds: float = DEFAULT_TIMEOUT) -> None:
    """Wait until so many models have a result."""
    wait_for(lambda: count_models_with_results(client) == models, seconds)


def wait_for_first_result(client: redis.Redis) -> None:
    """Wait until a batch has its first result."""
    wait_for(lambda: count_models_with_results(client))


def latest_statuses(client: redis.Redis, model_ids: Sequence[str]) -> list[str]:
    """Return the status of the latest result of each model that has one."""
    return [result.status for model_id in model_ids if (result := latest_result(client, model_id))]


def has_no_messages(client: redis.Redis) -> bool:
    """Return True if no message waits, and none is being processed."""
    return not client.exists(QUEUE, TAKEN_KEY, UNACKED_KEY, UNACKED_INDEX_KEY)


def count_blocked_clients(client: redis.Redis) -> int:
    """Return the number of clients of Redis that wait for a message."""
    return int(client.info("clients")["blocked_clients"])
