"""Calculation of a batch: reads the newest label rows and stores their results."""

import itertools
import time
from collections.abc import Iterator
from datetime import datetime

import psycopg2

from core.postgres import first_line
from core.queue.batch import Batch
from core.results.models import Result
from worker import queries
from worker.app import settings
from worker.backends import database, result_store
from worker.evaluation import evaluate
from worker.queries import NewestRow, SlowStatement

SAVE_INTERVAL = 0.1  # seconds; as much work is lost at most when the process ends
STOP_AFTER = 2 / 3  # of the time limit; no further model is begun then, so that those begun are finished
MAX_SLOW_READS = 2  # of an isolated model whose rows alone are slow to read


class UnreadableRows(Exception):
    """PostgreSQL reads the label rows of other models, but not of these; the message has the reason."""


class OutOfTime(Exception):
    """The rest of the batch would not be finished within the time limit."""


class Calculation:
    """Progress of a batch: the models that have no result yet."""

    def __init__(self, batch: Batch) -> None:
        self._batch = batch
        self.pending = dict.fromkeys(batch.model_ids)  # models; a dict, since order matters
        self._stop_at = time.monotonic() + STOP_AFTER * settings.time_limit
        self._row_errors = 0
        self._row_started_at: float | None = None  # time.monotonic()

    def run(self) -> datetime:
        """Store the results of the pending models; return when the last label row was read.

        Raises UnreadableRows, OutOfTime and errors of the backends. An error counts as one of the label rows only if
        those of other models can be read at the same time.
        """
        try:
            return self._read_and_save()
        except psycopg2.Error as error:
            if not queries.may_be_row_error(error) or not self.other_rows_are_readable():
                raise
            self._row_errors += 1
            if self._batch.isolated and isinstance(error, SlowStatement) and self._row_errors < MAX_SLOW_READS:
                raise
            raise UnreadableRows(f"PostgreSQL: {first_line(error)}") from error

    def other_rows_are_readable(self) -> bool:
        """Return True if PostgreSQL responds in time with label rows of models that are not pending here."""
        return queries.other_rows_are_readable(database(), list(self.pending))

    def row_duration(self) -> float:
        """Return the seconds that the current label row has been calculated for; 0 if none is."""
        return 0.0 if self._row_started_at is None else time.monotonic() - self._row_started_at

    def _read_and_save(self) -> datetime:
        read_at = self._save_unchanged()
        portions = queries.newest_rows(database(), list(self.pending), requested=self._batch.requested)
        for results in itertools.chain.from_iterable(map(self._evaluate, portions)):
            result_store().save(results)
            for result in results:
                del self.pending[result.model_id]
                read_at = result.calculated_at
            if self.pending and time.monotonic() > self._stop_at:
                raise OutOfTime(f"{settings.time_limit} s do not suffice for the whole batch")
        return read_at

    def _save_unchanged(self) -> datetime:
        """Store the results of models whose newest label row is that of their latest result; return the read time."""
        versions, read_at = queries.newest_versions(database(), list(self.pending), requested=self._batch.requested)
        if read_at is None:
            return self._batch.due_at
        for model_id in result_store().save_unchanged(versions, self._batch.due_at, read_at):
            del self.pending[model_id]
        return read_at

    def _evaluate(self, rows: list[NewestRow]) -> Iterator[list[Result]]:
        """Yield the results of label rows, those of SAVE_INTERVAL together."""
        results: list[Result] = []
        started_at = time.monotonic()
        rows.reverse()
        while rows:
            self._row_started_at = time.monotonic()
            results.append(evaluate(rows.pop(), self._batch.due_at))  # pop() frees the memory of a large row
            self._row_started_at = None
            if not rows or time.monotonic() - started_at > SAVE_INTERVAL:
                yield results
                results, started_at = [], time.monotonic()
