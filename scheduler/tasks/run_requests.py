"""Requested runs: users set run_requested_at, and the model runs at once, also if its schedule is paused.

A request is accepted before it is published: its time is inserted into run_requests. A second request before that gets
the time of the first one (sql/repeatable/050_validation.sql); one after it is another request, since there may be a
newer label row. Every time that a user got is published, whatever happens to its row in the meantime.
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
from scheduler.queue import Queue
from scheduler.settings import Settings
from scheduler.tasks.redis_recovery import RedisRecovery

log = logging.getLogger(__name__)

BATCH_SIZE = 1000
CLEAR_INTERVAL = 1.0  # seconds, while there is nothing to clear
REFUSED_RETRY_DELAY = 60.0  # seconds until a row that cannot be cleared is tried again
MAX_REFUSED = 100  # rows; if more cannot be cleared, no row is tried for that time
MAX_AGE = "1 day"  # of a value that a program has read and writes back with the rest of its row

# The clock in a subquery: the index can only be used with a constant of the statement.
ACCEPT = """
    INSERT INTO public.run_requests (model_id, requested_at)
    SELECT schedule.model_id, schedule.run_requested_at FROM public.metrics_executions AS schedule
    WHERE schedule.run_requested_at BETWEEN '1971-01-01' AND (SELECT public.schedule_now() + interval '1 minute')
        AND NOT EXISTS (
            SELECT FROM public.run_requests AS accepted
            WHERE accepted.model_id = schedule.model_id AND accepted.requested_at = schedule.run_requested_at)
    ORDER BY schedule.run_requested_at LIMIT %(limit)s
    ON CONFLICT DO NOTHING
    RETURNING model_id::text, requested_at
"""
UNDELIVERED = """
    SELECT model_id::text, requested_at FROM public.run_requests WHERE delivered_at IS NULL ORDER BY requested_at
"""
MARK_DELIVERED = """
    UPDATE public.run_requests AS request SET delivered_at = public.schedule_now()
    FROM unnest(%(model_ids)s::uuid[], %(requested_at)s::timestamptz[]) AS sent (model_id, requested_at)
    WHERE request.model_id = sent.model_id AND request.requested_at = sent.requested_at
"""
# The oldest ones, in index order: without statistics, the planner would otherwise read the whole table.
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
# Triggers that users have added run here, with the privileges of the scheduler: they may refuse, or be slow. Rows that
# a user has locked are left for the next iteration: the scheduler never waits for a user.
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
# Values that bypassed the triggers, or were set while PostgreSQL's clock was ahead. The trigger replaces them.
REDATE = """
    SET LOCAL statement_timeout = '500ms';
    SET LOCAL lock_timeout = '50ms';
    WITH pending AS NOT MATERIALIZED (
        SELECT schedule.id, schedule.run_requested_at FROM public.metrics_executions AS schedule
        WHERE schedule.run_requested_at IS NOT NULL AND NOT EXISTS (
            SELECT FROM public.run_requests AS accepted
            WHERE accepted.model_id = schedule.model_id AND accepted.requested_at = schedule.run_requested_at)
    ), invalid AS MATERIALIZED (
        (SELECT id FROM pending WHERE run_requested_at < '1971-01-01' ORDER BY run_requested_at LIMIT 1)
        UNION ALL
        (SELECT id FROM pending WHERE run_requested_at > (SELECT public.schedule_now() + interval '1 minute')
         ORDER BY run_requested_at LIMIT 1)
    ), redated AS (
        UPDATE public.metrics_executions SET run_requested_at = public.schedule_now() WHERE id IN (
            SELECT id FROM public.metrics_executions WHERE id IN (SELECT id FROM invalid) FOR UPDATE SKIP LOCKED)
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
    """A requested run; its time is the due time of the result."""

    model_id: str
    requested_at: datetime


class RunRequests:
    """Accepted requests: those to be published, and those that Redis may not have persisted yet."""

    def __init__(self, database: connection, queue: Queue, redis_recovery: RedisRecovery, settings: Settings) -> None:
        """Start with the requests that the previous leader accepted and did not deliver."""
        self._database = database
        self._queue = queue
        self._redis_recovery = redis_recovery
        self._batch_size = settings.batch_size
        self._unsent = [RunRequest(*row) for row in rows(database, UNDELIVERED)]
        self._sent: dict[RunRequest, float] = {}  # with the time of publication, by time.monotonic()
        self._clear_size = BATCH_SIZE  # rows cleared together; after a refusal, one by one
        self._refused: dict[int, float] = {}  # rows that cannot be cleared, and when to try again
        self._clear_at = 0.0  # by time.monotonic()

    def send_some(self, *, has_requests: bool) -> bool:
        """Publish a batch of requests; False if there is none. has_requests: there may be a new one."""
        if has_requests and not self._unsent:
            self._unsent = sorted(
                (RunRequest(*row) for row in rows(self._database, ACCEPT, limit=BATCH_SIZE)),
                key=lambda request: request.requested_at,
            )
        if not self._unsent:
            return False
        batch, rest = self._unsent[:BATCH_SIZE], self._unsent[BATCH_SIZE:]
        self._queue.send(*self._messages(batch))
        self._redis_recovery.sent()
        log.info("published %s requested runs", len(batch))
        self._sent |= dict.fromkeys(batch, time.monotonic())
        self._unsent = rest
        return True

    def send_again(self) -> None:
        """Publish again the requests that Redis may not have persisted: it has lost data."""
        self._unsent = [*self._sent, *self._unsent]
        self._sent.clear()

    def clear_some(self, *, has_requests: bool) -> bool:
        """Clear a batch of rows whose requests Redis has persisted; False if there is none."""
        now = time.monotonic()
        persisted = (request for request, sent_at in self._sent.items() if now - sent_at >= self._queue.persist_time)
        delivered = list(itertools.islice(persisted, BATCH_SIZE))
        if delivered:
            execute(
                self._database,
                MARK_DELIVERED,
                model_ids=[request.model_id for request in delivered],
                requested_at=[request.requested_at for request in delivered],
            )
            for request in delivered:
                del self._sent[request]
        if not has_requests or (now < self._clear_at and not delivered):
            return bool(delivered)
        self._refused = {row: retry_at for row, retry_at in self._refused.items() if retry_at > now}
        if self._clear_rows() or self._redate():
            return True
        self._clear_at = max(self._clear_at, now + CLEAR_INTERVAL)
        return bool(delivered)

    def delete_old(self) -> bool:
        """Delete a batch of old requests; False if there are no more."""
        [(deleted,)] = rows(self._database, DELETE_OLD, age=MAX_AGE, limit=BATCH_SIZE)
        return bool(deleted == BATCH_SIZE)

    def _clear_rows(self) -> bool:
        values = {"refused": list(self._refused), "candidates": BATCH_SIZE, "limit": self._clear_size}
        ids = [row for (row,) in rows(self._database, CLEARABLE, **values)]
        if not ids:
            return False
        try:
            [(cleared,)] = rows(self._database, CLEAR, ids=ids)
        except psycopg2.Error as error:
            self._refuse(ids, error)
            return True
        self._clear_size = min(BATCH_SIZE, 2 * self._clear_size)
        return bool(cleared)

    def _redate(self) -> bool:
        try:
            [(redated,)] = rows(self._database, REDATE)
        except psycopg2.Error as error:
            self._refuse([], error)
            return False
        if redated:
            log.warning("run_requested_at of a row was no possible due time: its model runs now")
        return bool(redated)

    def _refuse(self, ids: Sequence[int], error: psycopg2.Error) -> None:
        """Try the rows one by one; leave a refused one unchanged for some time: it was published."""
        if self._database.closed:
            raise error
        if len(ids) > 1:
            self._clear_size = 1
            return
        retry_at = time.monotonic() + REFUSED_RETRY_DELAY
        if not self._refused:
            log.warning("run_requested_at stays set where PostgreSQL refuses to clear it: %s", first_line(error))
        self._refused |= dict.fromkeys(ids, retry_at)
        if not ids or len(self._refused) >= MAX_REFUSED:
            self._clear_at = retry_at

    def _messages(self, requests: Sequence[RunRequest]) -> Iterator[TaskMessage]:
        for requested_at, group in itertools.groupby(requests, key=lambda request: request.requested_at):
            model_ids = [request.model_id for request in group]
            for start in range(0, len(model_ids), self._batch_size):
                batch = Batch(model_ids[start : start + self._batch_size], requested_at, requested=True)
                yield batch.message(queued_at=requested_at)
