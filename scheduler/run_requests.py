"""Run now: users set run_requested_at, and the model runs at once, on a paused schedule too."""

import itertools
import logging
import time
from collections.abc import Iterator
from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import connection

from scheduler.broker import Broker
from scheduler.forgotten import Forgotten
from scheduler.settings import Settings
from scheduler.store import execute, rows
from worker.messages import Batch, Message

log = logging.getLogger(__name__)

AT_A_TIME = 1000
KEPT_FOR = 3.0  # seconds; then Redis has written the message to its file

RUN_REQUESTS = """
    SELECT model_id::text, run_requested_at FROM public.metrics_executions
    WHERE run_requested_at IS NOT NULL ORDER BY run_requested_at LIMIT %(limit)s
"""
# Rows that a user holds at present are left for the next look: the scheduler never waits for a user.
CLEAR_RUN_REQUESTS = """
    UPDATE public.metrics_executions SET run_requested_at = NULL WHERE id IN (
        SELECT schedule.id
        FROM unnest(%(model_ids)s::uuid[], %(requested_at)s::timestamptz[]) AS sent (model_id, run_requested_at)
        JOIN public.metrics_executions AS schedule USING (model_id, run_requested_at)
        FOR UPDATE OF schedule SKIP LOCKED)
"""


class RunRequest(NamedTuple):
    """A user's wish to run a model now; its time is the moment of the result."""

    model_id: str
    requested_at: datetime


class RunRequests:
    """The requests that were sent and are still in the table, with the (monotonic) time of sending."""

    def __init__(self, database: connection, broker: Broker, forgotten: Forgotten, settings: Settings) -> None:
        """Send through the broker, at most batch_size models in a message."""
        self._database = database
        self._broker = broker
        self._forgotten = forgotten
        self._batch_size = settings.batch_size
        self._sent: dict[RunRequest, float] = {}

    def send(self) -> bool:
        """Send what was requested; False if there is nothing new."""
        limit = AT_A_TIME + len(self._sent)
        requests = [RunRequest(*row) for row in rows(self._database, RUN_REQUESTS, limit=limit)]
        new = [request for request in requests if request not in self._sent]
        self._broker.send(*self._messages(new))
        if new:
            self._forgotten.sent()
            log.info("sent %s requested runs", len(new))
        # Sent first, cleared after: a crash in between repeats a run, and the first result of a moment counts.
        present = time.monotonic()
        self._sent = {request: self._sent.get(request, present) for request in requests}
        self._clear([request for request, sent_at in self._sent.items() if present - sent_at >= KEPT_FOR])
        return bool(new)

    def _messages(self, requests: list[RunRequest]) -> Iterator[Message]:
        for requested_at, group in itertools.groupby(requests, key=lambda request: request.requested_at):
            model_ids = [request.model_id for request in group]
            for start in range(0, len(model_ids), self._batch_size):
                batch = Batch(model_ids[start : start + self._batch_size], requested_at, requested=True)
                yield batch.message(queued_at=requested_at)

    def send_again(self) -> None:
        """Redis has lost something: send again what is still in the table."""
        self._sent.clear()

    def _clear(self, requests: list[RunRequest]) -> None:
        if requests:
            execute(
                self._database,
                CLEAR_RUN_REQUESTS,
                model_ids=[request.model_id for request in requests],
                requested_at=[request.requested_at for request in requests],
            )
