"""The task that the scheduler sends: calculate a batch of models for one moment."""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import cache
from typing import Any

import psycopg2
import redis
from billiard.exceptions import SoftTimeLimitExceeded
from celery.exceptions import OperationalError as BrokerError
from psycopg2.extensions import connection

from worker import messages, postgres, results, store
from worker.accuracy import CannotBeScored, score
from worker.app import app, settings
from worker.results import Result

log = logging.getLogger(__name__)

CONNECTION_LOST = (
    psycopg2.OperationalError,
    psycopg2.InterfaceError,
    redis.ConnectionError,
    redis.TimeoutError,
    BrokerError,
)


@app.task(  # type: ignore[untyped-decorator]  # Celery has no types
    bind=True,
    name=messages.CALCULATE,
    autoretry_for=CONNECTION_LOST,
    max_retries=None,
    retry_backoff=True,
    retry_backoff_max=30,  # seconds; well below the visibility time-out
    retry_jitter=True,
)
def calculate(self: Any, model_ids: Sequence[str], due_at: str, requested: bool = False, alone: bool = False) -> None:
    """Calculate and store one result per model; what is stored already for this moment stays.

    A message that comes back was interrupted by the end of its process, so it
    is taken apart: whichever model ends processes is then alone, and does it
    once more at most.
    """
    moment = datetime.fromisoformat(due_at)
    redelivered = bool(self.request.delivery_info.get("redelivered"))
    if redelivered and not alone:
        _send_alone(model_ids, moment, requested=requested)
    elif alone and not _results().begin_alone(model_ids[0], moment) and redelivered:
        _give_up(model_ids[0], moment, "calculation was interrupted twice", requested=requested)
    else:
        _calculate(model_ids, moment, requested=requested, alone=alone)


def _calculate(model_ids: Sequence[str], moment: datetime, *, requested: bool, alone: bool) -> None:
    waiting = dict.fromkeys(model_ids)
    try:
        with closing(store.newest_rows(_database(), model_ids, requested=requested)) as portions:
            for rows in portions:
                _results().save([_result(row, moment) for row in rows])
                for row in rows:
                    waiting.pop(row.model_id, None)
    except SoftTimeLimitExceeded:
        log.warning("%s of %s models did not fit into %s s", len(waiting), len(model_ids), settings.time_limit)
        if alone:
            _give_up(
                model_ids[0],
                moment,
                f"calculation took longer than {settings.time_limit} s",
                requested=requested,
            )
        else:
            _send_alone(list(waiting), moment, requested=requested)
    else:
        log.info("calculated %s models for %s", len(model_ids) - len(waiting), moment.isoformat())


def _result(row: store.NewestRow, moment: datetime) -> Result:
    """Return what a row is worth; whatever is wrong with it is its own result, never the end of the batch."""
    result = Result(row.model_id, moment, row.read_at, "error", result_id=row.result_id, data_timestamp=row.timestamp)
    if row.y_true is None or row.y_pred is None:
        return replace(result, status="no_data", error="the model has no row in results")
    try:
        accuracy, samples = score(row.y_true, row.y_pred)
    except CannotBeScored as error:
        return replace(result, error=str(error))
    except SoftTimeLimitExceeded:
        raise
    except MemoryError:
        return replace(result, error="the row is too large for the worker's memory")
    except Exception as error:
        log.exception("model %s, results row %s", row.model_id, row.result_id)
        return replace(result, error=f"{type(error).__name__}: {error}")
    if accuracy is None:
        return replace(result, status="no_data", error="the newest row has no labels")
    return replace(result, status="ok", accuracy=accuracy, samples=samples)


def _give_up(model_id: str, moment: datetime, reason: str, *, requested: bool) -> None:
    log.error("model %s: %s", model_id, reason)
    now = store.now_if_scheduled(_database(), model_id, requested=requested)
    if now is not None:
        _results().save([Result(model_id, moment, calculated_at=now, status="error", error=reason)])


def _send_alone(model_ids: Sequence[str], moment: datetime, *, requested: bool) -> None:
    with app.producer_pool.acquire(block=True) as producer:
        for model_id in model_ids:
            message = messages.calculate([model_id], moment, requested=requested, alone=True)
            app.send_task(**message._asdict(), producer=producer)
    log.warning("an interrupted batch of %s models goes on, each alone", len(model_ids))


_open: dict[str, connection] = {}  # one connection for each process of the pool


def _database() -> connection:
    opened = _open.get("database")
    if opened is None or opened.closed:
        opened = _open["database"] = postgres.connect(settings.database_url, "cyclic-metrics worker")
    return opened


@cache
def _results() -> results.Results:
    client = results.connect(settings.redis_url)
    return results.Results(client, history=settings.result_history, ttl_days=settings.result_ttl_days)
