"""Processing of one delivered batch until every model has a result or is in another message.

A model that fails or kills its process is isolated: it gets a message of its own, so that it delays no other model.
"""

import logging
import uuid
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from celery.exceptions import Reject

from core.queue.batch import MAX_BATCH_SIZE, Batch
from core.results.models import Result
from worker import queries
from worker.app import app, settings
from worker.attempts import clear_attempt, record_attempt
from worker.backends import database, redis_client, result_store
from worker.calculation import Calculation, OutOfTime, UnreadableRows
from worker.evaluation import TOO_LARGE
from worker.retry import BACKEND_ERRORS, BackendUnavailable, retry_until_available
from worker.time_limit import TimeLimitExceeded, time_limit

log = logging.getLogger(__name__)

MAX_TIMED_OUT_ATTEMPTS = 2  # of an isolated model whose label rows alone are slow to read
MAX_ATTEMPTS = 2  # of an isolated model, after the batch that it was part of was interrupted


class BatchRun:
    """One delivery of a batch."""

    def __init__(self, batch: Batch, *, queued_at: datetime | None, is_redelivered: bool) -> None:
        """queued_at is when the scheduler sent it; is_redelivered: an earlier delivery was interrupted."""
        self._batch = batch
        self._queued_at = queued_at
        self._is_redelivered = is_redelivered
        self._calculation = Calculation(batch)
        self._token = uuid.uuid4().hex  # identifies this attempt at an isolated model
        self._attempts = 1
        self._keep_attempt = False  # when it is requeued

    def run(self) -> None:
        """Give each model a result, or put it into another message. Raises Reject to have this one redelivered."""
        try:
            with time_limit(settings.time_limit):
                self._process()
        except TimeLimitExceeded:
            self._requeue("time limit exceeded")
        except (BackendUnavailable, OutOfTime) as reason:
            self._requeue(str(reason))

    def _process(self) -> None:
        if len(self._batch.model_ids) > MAX_BATCH_SIZE:
            retry_until_available(self._split)
        elif self._is_redelivered:
            self._resume(retry_until_available(self._missing_models))
        elif self._batch.isolated:
            self._attempts = retry_until_available(self._record_attempt)
            self._calculate()
        else:
            self._calculate()

    def _resume(self, model_ids: Sequence[str]) -> None:
        """Continue after an interruption: a model that kills processes is isolated, and kills three at most."""
        if not model_ids:
            return
        if not self._batch.isolated:
            retry_until_available(lambda: self._send_isolated(model_ids))
            return
        self._attempts = retry_until_available(self._record_attempt)
        if self._attempts <= MAX_ATTEMPTS:
            self._calculate()
        else:
            retry_until_available(lambda: self._give_up("calculation was interrupted three times"))

    def _calculate(self) -> None:
        batch_size = len(self._batch.model_ids)
        try:
            read_at = retry_until_available(self._calculation.run)
        except TimeLimitExceeded:
            if self._calculation.row_duration() < settings.time_limit / 2 and not self._rows_are_slow():
                raise
            reason = f"calculation took longer than {settings.time_limit} s"
        except MemoryError:
            reason = TOO_LARGE
        except UnreadableRows as error:
            reason = str(error)
        except (BackendUnavailable, OutOfTime):
            raise
        except Exception as error:
            # Caused by one label row, such as a timestamp that Python cannot represent, but unknown by which.
            log.exception("batch of %s models failed", batch_size)
            reason = f"{type(error).__name__}: {error}"
        else:
            done = batch_size - len(self._calculation.pending)
            lag = (read_at - self._batch.due_at).total_seconds()
            log.info("calculated %s models for %s, %.1f s after it", done, self._batch.due_at.isoformat(), lag)
            return
        # Here, where the exception and the rows that it referred to are no longer in memory.
        self._fall_back(reason)

    def _rows_are_slow(self) -> bool:
        """Return True if PostgreSQL reads other label rows in time: these are large, then, and reading took the time.

        An isolated model has a second attempt, since the server may have been slow for a while.
        """
        if not self._calculation.other_rows_are_readable():
            return False
        self._keep_attempt = self._batch.isolated and self._attempts < MAX_TIMED_OUT_ATTEMPTS
        return not self._keep_attempt

    def _fall_back(self, reason: str) -> None:
        """Isolate the pending models; one that is isolated already gets an error result."""
        if self._batch.isolated:
            retry_until_available(lambda: self._give_up(reason))
        else:
            pending = list(self._calculation.pending)
            log.warning("%s of %s models have no result: %s", len(pending), len(self._batch.model_ids), reason)
            retry_until_available(lambda: self._send_isolated(pending))

    def _give_up(self, reason: str) -> None:
        [model_id] = self._batch.model_ids
        now = queries.now_if_scheduled(database(), model_id, requested=self._batch.requested)
        if now is not None:
            log.error("model %s: %s", model_id, reason)
            result_store().save([Result(model_id, self._batch.due_at, calculated_at=now, status="error", error=reason)])

    def _requeue(self, reason: str) -> None:
        """Append the pending models to the queue in two halves, or have this message redelivered if Redis is away.

        In halves, so that what keeps the batch from being finished keeps no other model in the end.
        """
        ids = list(self._calculation.pending)
        log.warning("batch of %s models failed, requeued: %s", len(ids), reason)
        middle = (len(ids) + 1) // 2
        try:
            if self._batch.isolated and not self._keep_attempt:
                clear_attempt(redis_client(), self._batch.model_ids[0], self._batch.due_at, self._token)
            self._send([replace(self._batch, model_ids=half) for half in (ids[:middle], ids[middle:]) if half])
        except BACKEND_ERRORS as error:
            raise Reject(error, requeue=True) from error

    def _missing_models(self) -> list[str]:
        return result_store().missing(self._batch.model_ids, self._batch.due_at)

    def _record_attempt(self) -> int:
        [model_id] = self._batch.model_ids
        return record_attempt(redis_client(), model_id, self._batch.due_at, self._token)

    def _send_isolated(self, model_ids: Sequence[str]) -> None:
        self._send([replace(self._batch, model_ids=[model_id], isolated=True) for model_id in model_ids])
        log.warning("isolated %s models of an interrupted batch", len(model_ids))

    def _split(self) -> None:
        ids, size = self._batch.model_ids, MAX_BATCH_SIZE
        self._send([replace(self._batch, model_ids=ids[start : start + size]) for start in range(0, len(ids), size)])
        log.warning("split a message of %s models", len(ids))

    def _send(self, batches: Sequence[Batch]) -> None:
        with app.producer_pool.acquire(block=True) as producer:
            for batch in batches:
                app.send_task(**batch.message(self._queued_at)._asdict(), producer=producer, retry=False)
