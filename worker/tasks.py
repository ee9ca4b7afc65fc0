"""The task that the scheduler sends: calculate a batch of models for one moment."""

import itertools
import logging
import time
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import cache
from typing import Any

import psycopg2
import redis
from celery.exceptions import Reject

from core import postgres
from core.postgres import Connection, first_line
from core.queue.batch import MAX_BATCH_SIZE, QUEUED_AT_HEADER, TASK_NAME, Batch, InvalidBatch, parse_queued_at
from core.redis import create_client
from core.results.models import Result
from core.results.repository import ResultStore
from worker import queries
from worker.app import GRACE, LAST_WORDS, app, settings
from worker.attempts import clear_attempt, record_attempt
from worker.evaluation import TOO_LARGE, evaluate
from worker.queries import NewestRow, SlowStatement
from worker.retry import AWAY, StillAway, patiently
from worker.time_limit import TookTooLong, limited

log = logging.getLogger(__name__)

SAVE_EVERY = 0.1  # seconds
ENOUGH = 2 / 3  # of the time limit; after that no further model is begun, so that what is begun comes to its end
# At one model's row that takes too long while those of others are read soon; then the row is the reason.
SLOW_ATTEMPTS = 2
MOST_ATTEMPTS = 2  # with a model alone, after the batch was interrupted that it was part of


class UnreadableRows(Exception):
    """PostgreSQL reads the rows of others, but not those that it is asked for; the message says why."""


class ShortOfTime(Exception):
    """What is left of the batch is for others."""


@app.task(bind=True, name=TASK_NAME)  # type: ignore[untyped-decorator]  # Celery has no types
def calculate(self: Any, *args: Any, **kwargs: Any) -> None:
    """Calculate and store one result per model; what is stored already for this moment stays.

    The message is acknowledged when every model has its result, or when other
    messages for the rest of them are in the queue.
    """
    try:
        batch = Batch.from_arguments(dict(zip(("model_ids", "due_at"), args, strict=False)) | kwargs)
    except InvalidBatch as error:
        log.error("dropped a message that nobody can run: %s", error)  # noqa: TRY400
        return
    delivery = Delivery(
        batch,
        queued_at=parse_queued_at(self.request.get(QUEUED_AT_HEADER)),
        redelivered=bool(self.request.delivery_info.get("redelivered")),
    )
    try:
        delivery.run()
    except Reject:
        raise
    except Exception as error:
        # Nothing else may leave this function: Celery would acknowledge the message, and a MemoryError ends the worker.
        log.exception("a batch of %s models comes back", len(batch.model_ids))
        time.sleep(1)
        raise Reject(error, requeue=True) from error


@dataclass
class Delivery:
    """A batch, and how it came."""

    batch: Batch
    queued_at: datetime | None  # when the scheduler first sent it
    redelivered: bool  # whoever had it before did not come to its end
    token: str = field(default_factory=lambda: uuid.uuid4().hex)  # of this attempt
    waiting: dict[str, None] = field(init=False)  # models that have no result yet

    def __post_init__(self) -> None:
        """Begin with all of them."""
        self.waiting = dict.fromkeys(self.batch.model_ids)
        self._enough = time.monotonic() + ENOUGH * settings.time_limit
        self._suspected = 0
        self._attempts = 1  # with a model alone
        self._keeps_attempt = False
        self._calculating_since: float | None = None  # by time.monotonic()

    def run(self) -> None:
        """Come to an end with each model: a result, or another message in the queue."""
        try:
            with limited(settings.time_limit):
                self._run()
        except TookTooLong:
            self._give_back("no time is left")
        except (StillAway, ShortOfTime) as reason:
            self._give_back(str(reason))

    def _run(self) -> None:
        """Calculate it, or take it apart where it may end the process again."""
        if len(self.batch.model_ids) > MAX_BATCH_SIZE:
            patiently(self._split)
        elif self.redelivered:
            self._resume(patiently(self._missing))
        elif self.batch.alone:
            self._attempts = patiently(self._begin_alone)
            self._calculate()
        else:
            self._calculate()

    def _give_back(self, reason: str) -> None:
        """Put what waits to the end of the queue, in halves; where Redis is away, it comes back from there by itself.

        In halves, so that in the end what keeps a batch from being done keeps no other model.
        """
        log.warning("gave a batch of %s models back: %s", len(self.waiting), reason)
        ids = list(self.waiting)
        middle = (len(ids) + 1) // 2
        try:
            if self.batch.alone and not self._keeps_attempt:
                clear_attempt(_redis(), self.batch.model_ids[0], self.batch.due_at, self.token)
            self._send([replace(self.batch, model_ids=half) for half in (ids[:middle], ids[middle:]) if half])
        except AWAY as error:
            raise Reject(error, requeue=True) from error

    def _calculate(self) -> None:
        try:
            read_at = patiently(self._read_and_calculate)
        except TookTooLong:
            if self._calculated_for() < settings.time_limit / 2 and not self._is_slow_by_itself():
                raise
            reason = f"calculation took longer than {settings.time_limit} s"
        except MemoryError:
            reason = TOO_LARGE
        except UnreadableRows as error:
            reason = str(error)
        except (StillAway, ShortOfTime):
            raise
        except Exception as error:
            # Of one row, such as a timestamp that Python has no year for, but who knows which one.
            log.exception("a batch of %s models", len(self.batch.model_ids))
            reason = f"{type(error).__name__}: {error}"
        else:
            done = len(self.batch.model_ids) - len(self.waiting)
            lag = (read_at - self.batch.due_at).total_seconds()
            log.info("calculated %s models for %s, %.1f s after it", done, self.batch.due_at.isoformat(), lag)
            return
        # Here, where the exception and the rows that it held are gone from memory.
        self._leave(reason)

    def _read_and_calculate(self) -> datetime:
        """Work through the batch; an error is of the rows only where those of others can be read at the same time."""
        try:
            return self._work_through()
        except psycopg2.Error as error:
            if not queries.may_be_of_the_rows(error) or not queries.others_are_readable(
                _database(), list(self.waiting)
            ):
                raise
            self._suspected += 1
            if self.batch.alone and isinstance(error, SlowStatement) and self._suspected < SLOW_ATTEMPTS:
                raise
            raise UnreadableRows(f"PostgreSQL: {first_line(error)}") from error

    def _work_through(self) -> datetime:
        """Store the results of those that wait, and take them out; the answer is when the last row was read."""
        read_at = self._repeat()
        portions = queries.newest_rows(_database(), list(self.waiting), requested=self.batch.requested)
        for evaluated in itertools.chain.from_iterable(map(self._evaluated, portions)):
            _results().save(evaluated)
            for result in evaluated:
                del self.waiting[result.model_id]
                read_at = result.calculated_at
            if self.waiting and time.monotonic() > self._enough:
                raise ShortOfTime(f"{settings.time_limit} s do not suffice for all of it")
        return read_at

    def _is_slow_by_itself(self) -> bool:
        """Return True where PostgreSQL reads the rows of others soon: reading took the time, and these rows are large.

        A model that is alone has a second attempt, since the server may have been slow for some of the time.
        """
        if not queries.others_are_readable(_database(), list(self.waiting)):
            return False
        self._keeps_attempt = self.batch.alone and self._attempts < SLOW_ATTEMPTS
        return not self._keeps_attempt

    def _calculated_for(self) -> float:
        """Return the seconds since when a row is being calculated."""
        return 0.0 if self._calculating_since is None else time.monotonic() - self._calculating_since

    def _repeat(self) -> datetime:
        """Do those whose newest row is that of their latest result; the answer is when that was seen."""
        seen, seen_at = queries.seen_rows(_database(), list(self.waiting), requested=self.batch.requested)
        if seen_at is None:
            return self.batch.due_at
        for model_id in _results().save_unchanged(seen, self.batch.due_at, seen_at):
            del self.waiting[model_id]
        return seen_at

    def _evaluated(self, rows: list[NewestRow]) -> Iterator[list[Result]]:
        """Yield the results of rows, those of a tenth of a second at once: whatever ends the process, few are lost."""
        evaluated: list[Result] = []
        began = time.monotonic()
        rows.reverse()
        while rows:
            self._calculating_since = time.monotonic()
            evaluated.append(evaluate(rows.pop(), self.batch.due_at))  # and with that a large row is gone from memory
            self._calculating_since = None
            if not rows or time.monotonic() - began > SAVE_EVERY:
                yield evaluated
                evaluated, began = [], time.monotonic()

    def _leave(self, reason: str) -> None:
        """Let the models that wait go on alone, each in a message of its own; one that is alone gets an error."""
        if self.batch.alone:
            patiently(lambda: self._give_up(reason))
        else:
            log.warning("%s of %s models wait: %s", len(self.waiting), len(self.batch.model_ids), reason)
            patiently(lambda: self._send_alone(list(self.waiting)))

    def _resume(self, model_ids: Sequence[str]) -> None:
        """Go on after an interruption, such that whichever model ends processes is alone, and ends three at most."""
        if not model_ids:
            return
        if not self.batch.alone:
            patiently(lambda: self._send_alone(model_ids))
            return
        self._attempts = patiently(self._begin_alone)
        if self._attempts <= MOST_ATTEMPTS:
            self._calculate()
        else:
            patiently(lambda: self._give_up("calculation was interrupted three times"))

    def _missing(self) -> list[str]:
        return _results().missing(self.batch.model_ids, self.batch.due_at)

    def _begin_alone(self) -> int:
        """Note an attempt; the answer is how many there were."""
        [model_id] = self.batch.model_ids
        return record_attempt(_redis(), model_id, self.batch.due_at, self.token)

    def _give_up(self, reason: str) -> None:
        [model_id] = self.batch.model_ids
        now = queries.now_if_scheduled(_database(), model_id, requested=self.batch.requested)
        if now is not None:
            log.error("model %s: %s", model_id, reason)
            _results().save([Result(model_id, self.batch.due_at, calculated_at=now, status="error", error=reason)])

    def _send_alone(self, model_ids: Sequence[str]) -> None:
        self._send([replace(self.batch, model_ids=[model_id], alone=True) for model_id in model_ids])
        log.warning("an interrupted batch goes on: %s models, each alone", len(model_ids))

    def _split(self) -> None:
        ids, size = self.batch.model_ids, MAX_BATCH_SIZE
        self._send([replace(self.batch, model_ids=ids[at : at + size]) for at in range(0, len(ids), size)])
        log.warning("a message of %s models is taken apart", len(ids))

    def _send(self, batches: Sequence[Batch]) -> None:
        with app.producer_pool.acquire(block=True) as producer:
            for batch in batches:
                app.send_task(**batch.message(self.queued_at)._asdict(), producer=producer, retry=False)


_open: dict[str, Connection] = {}  # one connection for each process of the pool


def _database() -> Connection:
    opened = _open.get("database")
    if opened is None or opened.closed:
        # A silent server is noticed before the batch's time is over: it would look like a calculation that takes long.
        limit = max(1, min(postgres.STATEMENT_TIMEOUT, settings.time_limit // 3))
        opened = postgres.connect(settings.database_url, "cyclic-metrics worker", statement_timeout=limit)
        _open["database"] = opened
    return opened


@cache
def _redis() -> redis.Redis:
    return create_client(settings.redis_url)


@cache
def _results() -> ResultStore:
    batch_time = timedelta(seconds=settings.time_limit + GRACE + LAST_WORDS)
    return ResultStore(
        _redis(), history=settings.result_history, ttl_days=settings.result_ttl_days, batch_time=batch_time
    )
