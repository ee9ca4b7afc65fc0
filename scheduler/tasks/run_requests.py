"""Run now: users set run_requested_at, and the model runs at once, on a paused schedule too.

A request is taken over before it is sent: its time goes into the table run_requests. A user who asks again before
that is given the time of the request that waits (sql/050_gate.sql); one who asks after it makes another request, since
a newer label row may have come. Each time that a user was given is sent, whatever happens to its row meanwhile.
"""

import itertools
import logging
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import connection

from core.postgres import first_line
from core.queue.batch import Batch, TaskMessage
from scheduler.queries import execute, rows
from scheduler.queue import Broker
from scheduler.settings import Settings
from scheduler.tasks.redis_recovery import Forgotten

log = logging.getLogger(__name__)

AT_A_TIME = 1000
KEPT_FOR = 3.0  # seconds; then Redis has written the message to its file
CLEAR_PAUSE = 1.0  # seconds, where there was nothing to clear
REFUSED_PAUSE = 60.0  # seconds until a row that cannot be cleared is tried again
MAX_REFUSED = 100  # rows; where more cannot be cleared, none is tried for so long
REMEMBERED_FOR = "1 day"  # so old may a value be that a program has read, and writes back with the rest of its row

# The clock in a query of its own: the index serves only a constant of the statement.
TAKE_OVER = """
    INSERT INTO public.run_requests (model_id, requested_at)
    SELECT schedule.model_id, schedule.run_requested_at FROM public.metrics_executions AS schedule
    WHERE schedule.run_requested_at BETWEEN '1971-01-01' AND (SELECT public.schedule_now() + interval '1 minute')
        AND NOT EXISTS (
            SELECT FROM public.run_requests AS taken
            WHERE taken.model_id = schedule.model_id AND taken.requested_at = schedule.run_requested_at)
    ORDER BY schedule.run_requested_at LIMIT %(limit)s
    ON CONFLICT DO NOTHING
    RETURNING model_id::text, requested_at
"""
UNDELIVERED = """
    SELECT model_id::text, requested_at FROM public.run_requests WHERE delivered_at IS NULL ORDER BY requested_at
"""
DELIVERED = """
    UPDATE public.run_requests AS request SET delivered_at = public.schedule_now()
    FROM unnest(%(model_ids)s::uuid[], %(requested_at)s::timestamptz[]) AS sent (model_id, requested_at)
    WHERE request.model_id = sent.model_id AND request.requested_at = sent.requested_at
"""
# The oldest ones, in the order of the index: without statistics, the planner would rather read the whole table.
CLEARABLE = """
    WITH schedule AS MATERIALIZED (
        SELECT id, model_id, run_requested_at FROM public.metrics_executions
        WHERE run_requested_at IS NOT NULL AND id <> ALL (%(refused)s::bigint[])
        ORDER BY run_requested_at LIMIT %(candidates)s
    )
    SELECT schedule.id FROM schedule
    JOIN public.run_requests AS request
        ON request.model_id = schedule.model_id AND request.requested_at = schedule.run_requested_at
    WHERE request.delivered_at IS NOT NULL
    ORDER BY schedule.run_requested_at LIMIT %(limit)s
"""
# Triggers of the users' own run here, with the rights of the scheduler: they may refuse, or take their time. Rows that
# a user has locked are left for the next turn: the scheduler never waits for a user.
CLEAR = """
    SET LOCAL statement_timeout = '500ms';
    SET LOCAL lock_timeout = '50ms';
    WITH cleared AS (
        UPDATE public.metrics_executions AS schedule SET run_requested_at = NULL
        FROM public.run_requests AS request
        WHERE request.model_id = schedule.model_id AND request.requested_at = schedule.run_requested_at
            AND schedule.id IN (
                SELECT id FROM public.metrics_executions WHERE id = ANY (%(ids)s::bigint[]) FOR UPDATE SKIP LOCKED)
        RETURNING schedule.id
    )
    SELECT count(*) FROM cleared
"""
# Past the triggers, or while PostgreSQL's clock was ahead. The trigger makes it a request of this moment.
REDATE = """
    SET LOCAL statement_timeout = '500ms';
    SET LOCAL lock_timeout = '50ms';
    WITH pending AS NOT MATERIALIZED (
        SELECT schedule.id, schedule.run_requested_at FROM public.metrics_executions AS schedule
        WHERE schedule.run_requested_at IS NOT NULL AND NOT EXISTS (
            SELECT FROM public.run_requests AS taken
            WHERE taken.model_id = schedule.model_id AND taken.requested_at = schedule.run_requested_at)
    ), odd AS MATERIALIZED (
        (SELECT id FROM pending WHERE run_requested_at < '1971-01-01' ORDER BY run_requested_at LIMIT 1)
        UNION ALL
        (SELECT id FROM pending WHERE run_requested_at > (SELECT public.schedule_now() + interval '1 minute')
         ORDER BY run_requested_at LIMIT 1)
    ), redated AS (
        UPDATE public.metrics_executions SET run_requested_at = public.schedule_now() WHERE id IN (
            SELECT id FROM public.metrics_executions WHERE id IN (SELECT id FROM odd) FOR UPDATE SKIP LOCKED)
        RETURNING id
    )
    SELECT count(*) FROM redated
"""
DELETE_OLD = """
    WITH deleted AS (
        DELETE FROM public.run_requests WHERE (model_id, requested_at) IN (
            SELECT model_id, requested_at FROM public.run_requests
            WHERE delivered_at < (SELECT public.schedule_now() - %(age)s::interval) LIMIT %(limit)s)
        RETURNING model_id
    )
    SELECT count(*) FROM deleted
"""


class RunRequest(NamedTuple):
    """A user's wish to run a model now; its time is the due time of the result."""

    model_id: str
    requested_at: datetime


class RunRequests:
    """Requests that are taken over: those that are still to be sent, and those that Redis may not have kept yet."""

    def __init__(self, database: connection, broker: Broker, forgotten: Forgotten, settings: Settings) -> None:
        """Send through the broker, at most batch_size models in a message; begin with those of the leader before."""
        self._database = database
        self._broker = broker
        self._forgotten = forgotten
        self._batch_size = settings.batch_size
        self._unsent = [RunRequest(*row) for row in rows(database, UNDELIVERED)]
        self._sent: dict[RunRequest, float] = {}  # with the time of sending, by time.monotonic()
        self._portion = AT_A_TIME  # rows cleared together: after a refusal, one by one
        self._refused: dict[int, float] = {}  # rows that cannot be cleared, and when to try again
        self._clears_at = 0.0  # by time.monotonic()

    def send(self, *, requested: bool) -> bool:
        """Send a portion of the requests; False without any. requested: some row may have a new one."""
        if requested and not self._unsent:
            self._unsent = sorted(
                (RunRequest(*row) for row in rows(self._database, TAKE_OVER, limit=AT_A_TIME)),
                key=lambda request: request.requested_at,
            )
        if not self._unsent:
            return False
        portion, rest = self._unsent[:AT_A_TIME], self._unsent[AT_A_TIME:]
        self._broker.send(*self._messages(portion))
        self._forgotten.sent()
        log.info("sent %s requested runs", len(portion))
        self._sent |= dict.fromkeys(portion, time.monotonic())
        self._unsent = rest
        return True

    def send_again(self) -> None:
        """Send again what Redis may not have kept: it has lost something."""
        self._unsent = [*self._sent, *self._unsent]
        self._sent.clear()

    def clear(self, *, requested: bool) -> bool:
        """Clear a portion of the rows whose requests Redis has kept by now; False without any."""
        now = time.monotonic()
        kept = [request for request, sent_at in self._sent.items() if now - sent_at >= KEPT_FOR][:AT_A_TIME]
        if kept:
            execute(
                self._database,
                DELIVERED,
                model_ids=[request.model_id for request in kept],
                requested_at=[request.requested_at for request in kept],
            )
            for request in kept:
                del self._sent[request]
        if not requested or (now < self._clears_at and not kept):
            return bool(kept)
        self._refused = {row: retry_at for row, retry_at in self._refused.items() if retry_at > now}
        if self._clear_rows() or self._redate():
            return True
        self._clears_at = max(self._clears_at, now + CLEAR_PAUSE)
        return bool(kept)

    def delete_old(self) -> bool:
        """Delete a portion of what is kept longer than needed; False if there is no more."""
        [(deleted,)] = rows(self._database, DELETE_OLD, age=REMEMBERED_FOR, limit=AT_A_TIME)
        return bool(deleted == AT_A_TIME)

    def _clear_rows(self) -> bool:
        values = {"refused": list(self._refused), "candidates": AT_A_TIME, "limit": self._portion}
        ids = [row for (row,) in rows(self._database, CLEARABLE, **values)]
        if not ids:
            return False
        try:
            [(cleared,)] = rows(self._database, CLEAR, ids=ids)
        except psycopg2.Error as error:
            self._refuse(ids, error)
            return True
        self._portion = min(AT_A_TIME, 2 * self._portion)
        return bool(cleared)

    def _redate(self) -> bool:
        try:
            [(redated,)] = rows(self._database, REDATE)
        except psycopg2.Error as error:
            self._refuse([], error)
            return False
        if redated:
            log.warning("a row's run_requested_at was no time that a run can have; its model runs now")
        return bool(redated)

    def _refuse(self, ids: Sequence[int], error: psycopg2.Error) -> None:
        """Try the rows one by one; leave one that is refused alone, for a while, as it is: it was sent."""
        if self._database.closed:
            raise error
        if len(ids) > 1:
            self._portion = 1
            return
        retry_at = time.monotonic() + REFUSED_PAUSE
        if not self._refused:
            log.warning("run_requested_at stays set where PostgreSQL refuses to clear it: %s", first_line(error))
        self._refused |= dict.fromkeys(ids, retry_at)
        if not ids or len(self._refused) >= MAX_REFUSED:
            self._clears_at = retry_at

    def _messages(self, requests: Sequence[RunRequest]) -> Iterator[TaskMessage]:
        for requested_at, group in itertools.groupby(requests, key=lambda request: request.requested_at):
            model_ids = [request.model_id for request in group]
            for start in range(0, len(model_ids), self._batch_size):
                batch = Batch(model_ids[start : start + self._batch_size], requested_at, requested=True)
                yield batch.message(queued_at=requested_at)
