"""Deletes old label rows in small batches; the newest one of each model stays, however old it is."""

import logging
import math
import time
from datetime import timedelta
from typing import NamedTuple

import psycopg2
from psycopg2.extensions import connection

from core.postgres import first_line
from scheduler.queries import rows
from scheduler.settings import Settings

log = logging.getLogger(__name__)

BATCH_INTERVAL = 0.05  # seconds between two batches, so that the server is free for others most of the time
TARGET_BATCH_TIME = 0.02  # seconds
# Rows and models of a batch; with a single one, it would never get beyond the row where it starts.
MIN_BATCH_SIZE, MAX_BATCH_SIZE = 2, 500
SCAN_INTERVAL = 3600.0  # seconds from the end of a scan of all models to the next one
RETRY_DELAY = 60.0  # seconds after a failure

# Scans the index results_newest: from model to model, and within a model from newer rows to older ones. Each model
# gives at least one row, so that LIMIT limits the models too. Locked rows are left for the next scan: the leader waits
# for no one. Deleted by all three columns, since the table may be partitioned by time or by model.
DELETE_OLD = """
    SET LOCAL statement_timeout = '500ms';
    SET LOCAL lock_timeout = '50ms';
    WITH RECURSIVE clock AS MATERIALIZED (
        SELECT now - %(retention)s AS oldest, now + public.max_clock_skew() AS latest FROM public.schedule_now() AS now
    ), model AS (
        SELECT %(model_id)s::uuid AS model_id,
            least(%(timestamp)s::timestamptz, (SELECT oldest FROM clock)) AS before, %(id)s::bigint AS before_id
        UNION ALL
        SELECT (SELECT result.model_id FROM public.results AS result WHERE result.model_id > model.model_id
                ORDER BY result.model_id LIMIT 1), (SELECT oldest FROM clock), 0
        FROM model WHERE model.model_id IS NOT NULL
    ), batch AS MATERIALIZED (
        SELECT model.model_id, old."timestamp", old.id
        FROM model
        LEFT JOIN LATERAL (
            -- the one of newest_label_rows(), which reads columns that the scheduler has no privilege for
            SELECT result.id FROM public.results AS result
            WHERE result.model_id = model.model_id AND result."timestamp" <= (SELECT latest FROM clock)
            ORDER BY result."timestamp" DESC, result.id DESC LIMIT 1
        ) AS newest ON true
        LEFT JOIN LATERAL (
            SELECT result."timestamp", result.id FROM public.results AS result
            WHERE result.model_id = model.model_id AND result.id <> newest.id
                AND (result."timestamp", result.id) < (model.before, model.before_id)
            ORDER BY result."timestamp" DESC, result.id DESC LIMIT %(limit)s FOR UPDATE SKIP LOCKED
        ) AS old ON true
        LIMIT %(limit)s
    ), deleted AS (
        DELETE FROM public.results AS result USING batch
        WHERE result.id = batch.id AND result."timestamp" = batch."timestamp" AND result.model_id = batch.model_id
    )
    SELECT batch.model_id::text, coalesce(batch."timestamp", '-infinity')::text, coalesce(batch.id, 0),
        (SELECT count(id) FROM batch)
    FROM batch ORDER BY batch.model_id DESC NULLS FIRST, batch."timestamp" NULLS FIRST, batch.id LIMIT 1
"""


class Position(NamedTuple):
    """Position of a scan: older rows of the model follow."""

    model_id: str | None  # None at the end
    timestamp: str  # as text: Python has no infinity
    id: int


START = Position("00000000-0000-0000-0000-000000000000", "infinity", 0)


class ResultsRetention:
    """A scan of all models; its position is lost at a restart."""

    def __init__(
        self,
        database: connection,
        settings: Settings,
        *,
        batch_interval: float = BATCH_INTERVAL,
        scan_interval: float = SCAN_INTERVAL,
    ) -> None:
        self._database = database
        self._retention = settings.results_retention
        self._batch_interval = batch_interval
        self._scan_interval = scan_interval
        self._position = START
        self._batch_size = MIN_BATCH_SIZE
        self._deleted = 0
        self._continue_at = time.monotonic()

    def delete_some(self) -> float:
        """Delete a batch when it is time; return the seconds until the next one."""
        if self._retention is None:
            return math.inf
        wait = self._continue_at - time.monotonic()
        if wait <= 0:
            wait = self._try_batch(self._retention)
            self._continue_at = time.monotonic() + wait
        return wait

    def _try_batch(self, retention: timedelta) -> float:
        try:
            self._delete_batch(retention)
        except psycopg2.Error as error:
            if self._database.closed:
                raise
            # A lock, a foreign key, a missing privilege: no reason to stop publishing, and the rows can wait.
            log.warning("old rows of results not deleted: %s", first_line(error))
            self._batch_size = MIN_BATCH_SIZE
            return RETRY_DELAY
        if self._position.model_id is not None:
            return self._batch_interval
        if self._deleted:
            log.info("deleted %s rows of results older than %s days", self._deleted, retention.days)
        self._position, self._deleted = START, 0
        return self._scan_interval

    def _delete_batch(self, retention: timedelta) -> None:
        started_at = time.monotonic()
        values = {**self._position._asdict(), "retention": retention, "limit": self._batch_size}
        [(*position, deleted)] = rows(self._database, DELETE_OLD, **values)
        self._position = Position(*position)
        self._deleted += deleted
        # Rows of a million labels take a thousand times as long as others: at most twice as many next time.
        size = self._batch_size * min(2.0, TARGET_BATCH_TIME / (time.monotonic() - started_at))
        self._batch_size = max(MIN_BATCH_SIZE, min(int(size), MAX_BATCH_SIZE))
