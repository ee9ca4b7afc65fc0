"""The task that the scheduler sends: calculate a batch of models for one moment."""

import logging
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cache
from typing import Any

from celery.exceptions import Reject
from psycopg2.extensions import connection

from worker import messages, postgres, results, store
from worker.app import app, settings
from worker.evaluation import TOO_LARGE, evaluate
from worker.limit import TookTooLong, limited
from worker.messages import Batch
from worker.patience import AWAY, StillAway, patiently
from worker.results import Result

log = logging.getLogger(__name__)


@app.task(bind=True, name=messages.CALCULATE)  # type: ignore[untyped-decorator]  # Celery has no types
def calculate(self: Any, *args: Any, **kwargs: Any) -> None:
    """Calculate and store one result per model; what is stored already for this moment stays.

    The message is acknowledged when every model has its result, or when other
    messages for the rest of them are in the queue.
    """
    try:
        batch = Batch.read(dict(zip(("model_ids", "due_at"), args, strict=False)) | kwargs)
    except messages.Malformed as error:
        log.error("dropped a message that nobody can run: %s", error)  # noqa: TRY400
        return
    delivery = Delivery(
        batch,
        queued_at=messages.queued_at(self.request.get(messages.QUEUED_AT_HEADER)),
        redelivered=bool(self.request.delivery_info.get("redelivered")),
    )
    try:
        delivery.run()
    except StillAway as reason:
        log.warning("gave a batch of %s models back: %s", len(batch.model_ids), reason)
        delivery.give_back()


@dataclass(frozen=True)
class Delivery:
    """A batch, and how it came."""

    batch: Batch
    queued_at: datetime | None  # when the scheduler first sent it
    redelivered: bool  # whoever had it before did not come to its end

    def run(self) -> None:
        """Calculate it, or take it apart where it may end the process again."""
        if len(self.batch.model_ids) > messages.LARGEST_BATCH:
            patiently(self._split)
        elif self.redelivered:
            self._resume(patiently(self._missing))
        elif self.batch.alone:
            patiently(self._begin_alone)
            self._calculate()
        else:
            self._calculate()

    def give_back(self) -> None:
        """Put it to the end of the queue, as it was; where Redis is away, it comes back from there by itself."""
        try:
            if self.batch.alone:
                _results().forget_begun(self.batch.model_ids[0], self.batch.due_at)
            self._send([self.batch])
        except AWAY as error:
            raise Reject(error, requeue=True) from error

    def _calculate(self) -> None:
        waiting = dict.fromkeys(self.batch.model_ids)
        try:
            with limited(settings.time_limit):
                read_at = patiently(lambda: self._work_through(waiting))
        except TookTooLong:
            log.warning(
                "%s of %s models did not fit into %s s", len(waiting), len(self.batch.model_ids), settings.time_limit
            )
            self._leave(list(waiting), f"calculation took longer than {settings.time_limit} s")
        except MemoryError:
            self._leave(list(waiting), TOO_LARGE)
        else:
            done = len(self.batch.model_ids) - len(waiting)
            lag = (read_at - self.batch.due_at).total_seconds()
            log.info("calculated %s models for %s, %.1f s after it", done, self.batch.due_at.isoformat(), lag)

    def _work_through(self, waiting: dict[str, None]) -> datetime:
        """Store the results of those that wait, and take them out; the answer is when the last row was read."""
        read_at = self.batch.due_at
        portions = store.newest_rows(_database(), list(waiting), requested=self.batch.requested)
        with closing(portions):
            for rows in portions:
                _results().save([evaluate(row, self.batch.due_at) for row in rows])
                for row in rows:
                    del waiting[row.model_id]
                    read_at = row.read_at
        return read_at

    def _leave(self, model_ids: Sequence[str], reason: str) -> None:
        """Let the models go on alone, each in a message of its own; one that is alone already gets an error."""
        if self.batch.alone:
            patiently(lambda: self._give_up(reason))
        else:
            patiently(lambda: self._send_alone(model_ids))

    def _resume(self, model_ids: Sequence[str]) -> None:
        """Go on after an interruption, such that whichever model ends processes is alone, and ends two at most."""
        if not model_ids:
            return
        if not self.batch.alone:
            patiently(lambda: self._send_alone(model_ids))
        elif patiently(self._begin_alone):
            self._calculate()
        else:
            patiently(lambda: self._give_up("calculation was interrupted twice"))

    def _missing(self) -> list[str]:
        return _results().missing(self.batch.model_ids, self.batch.due_at)

    def _begin_alone(self) -> bool:
        [model_id] = self.batch.model_ids
        return _results().begin_alone(model_id, self.batch.due_at)

    def _give_up(self, reason: str) -> None:
        [model_id] = self.batch.model_ids
        now = store.now_if_scheduled(_database(), model_id, requested=self.batch.requested)
        if now is not None:
            log.error("model %s: %s", model_id, reason)
            _results().save([Result(model_id, self.batch.due_at, calculated_at=now, status="error", error=reason)])

    def _send_alone(self, model_ids: Sequence[str]) -> None:
        self._send([replace(self.batch, model_ids=[model_id], alone=True) for model_id in model_ids])
        log.warning("an interrupted batch goes on: %s models, each alone", len(model_ids))

    def _split(self) -> None:
        ids, size = self.batch.model_ids, messages.LARGEST_BATCH
        self._send([replace(self.batch, model_ids=ids[at : at + size]) for at in range(0, len(ids), size)])
        log.warning("a message of %s models is taken apart", len(ids))

    def _send(self, batches: Sequence[Batch]) -> None:
        with app.producer_pool.acquire(block=True) as producer:
            for batch in batches:
                app.send_task(**batch.message(self.queued_at)._asdict(), producer=producer, retry=False)


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
