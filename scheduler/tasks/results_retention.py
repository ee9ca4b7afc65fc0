"""Deleting old rows of results, a little at a time; a model's newest row stays, however old it is."""

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

PAUSE = 0.05  # seconds between two portions, so that others have the server to themselves most of the time
PORTION_TIME = 0.02  # seconds that a portion should take
LEAST, MOST = 2, 500  # rows and models of a portion; with one, it would never get beyond the row where it begins
WALK_EVERY = 3600.0  # seconds from the end of a walk through all models to the next one
REST = 60.0  # seconds after a failure

# Walks the index results_newest: from model to model, and within a model from newer rows to older ones. Each model that
# is met gives at least one row, so that LIMIT bounds the models, too. Locked rows are left for the next walk: the
# leader waits for nobody. Deleted by all three columns, since the rows may lie in partitions, by time or by model.
DELETE_OLD = """
    SET LOCAL statement_timeout = '500ms';
    SET LOCAL lock_timeout = '50ms';
    WITH RECURSIVE clock AS MATERIALIZED (
        SELECT now - %(retention)s AS oldest, now + public.ahead_limit() AS latest FROM public.schedule_now() AS now
    ), model AS (
        SELECT %(model_id)s::uuid AS model_id,
            least(%(timestamp)s::timestamptz, (SELECT oldest FROM clock)) AS before, %(id)s::bigint AS before_id
        UNION ALL
        SELECT (SELECT result.model_id FROM public.results AS result WHERE result.model_id > model.model_id
                ORDER BY result.model_id LIMIT 1), (SELECT oldest FROM clock), 0
        FROM model WHERE model.model_id IS NOT NULL
    ), met AS MATERIALIZED (
        SELECT model.model_id, old."timestamp", old.id
        FROM model
        LEFT JOIN LATERAL (
            -- the one that latest_results finds, which reads columns that the scheduler has no right to
            SELECT result.id FROM public.results AS result
            WHERE result.model_id = model.model_id AND result."timestamp" <= (SELECT latest FROM clock)
            ORDER BY result."timestamp" DESC, result.id DESC LIMIT 1
        ) AS newest ON true
        LEFT JOIN LATERAL (
            SELECT result."timestamp", result.id FROM public.results AS result
            WHERE result.model_id = model.model_id AND result.id <> newest.id
                AND (result."timestamp", result.id) < (model.before, model.before_id)
            ORDER BY result."timestamp" DESC, result.id DESC LIMIT %(portion)s FOR UPDATE SKIP LOCKED
        ) AS old ON true
        LIMIT %(portion)s
    ), deleted AS (
        DELETE FROM public.results AS result USING met
        WHERE result.id = met.id AND result."timestamp" = met."timestamp" AND result.model_id = met.model_id
    )
    SELECT met.model_id::text, coalesce(met."timestamp", '-infinity')::text, coalesce(met.id, 0),
        (SELECT count(id) FROM met)
    FROM met ORDER BY met.model_id DESC NULLS FIRST, met."timestamp" NULLS FIRST, met.id LIMIT 1
"""


class Position(NamedTuple):
    """How far a walk has come: below this row of the model."""

    model_id: str | None  # null at the end
    timestamp: str  # as PostgreSQL writes it: Python has no infinity
    id: int


START = Position("00000000-0000-0000-0000-000000000000", "infinity", 0)


class OldResults:
    """A walk through the models, whose position only this process knows: after a restart it begins anew."""

    def __init__(self, database: connection, settings: Settings) -> None:
        """Begin at once."""
        self._database = database
        self._retention = settings.results_retention
        self._position = START
        self._portion = LEAST
        self._deleted = 0
        self._goes_on_at = time.monotonic()

    def delete_some(self) -> float:
        """Delete a portion where it is time to, and return in how many seconds it is time again."""
        if self._retention is None:
            return math.inf
        wait = self._goes_on_at - time.monotonic()
        if wait <= 0:
            wait = self._try(self._retention)
            self._goes_on_at = time.monotonic() + wait
        return wait

    def _try(self, retention: timedelta) -> float:
        try:
            self._delete_portion(retention)
        except psycopg2.Error as error:
            if self._database.closed:
                raise
            # A lock, a foreign key, a missing right: of no concern to the moments, and nobody waits for a row to go.
            log.warning("old rows of results stay for now: %s", first_line(error))
            self._portion = LEAST
            return REST
        if self._position.model_id is not None:
            return PAUSE
        if self._deleted:
            log.info("deleted %s rows of results that were older than %s days", self._deleted, retention.days)
        self._position, self._deleted = START, 0
        return WALK_EVERY

    def _delete_portion(self, retention: timedelta) -> None:
        began = time.monotonic()
        values = {**self._position._asdict(), "retention": retention, "portion": self._portion}
        [(*position, deleted)] = rows(self._database, DELETE_OLD, **values)
        self._position = Position(*position)
        self._deleted += deleted
        # Rows of a million labels take a thousand times as long as others: at most twice as many the next time.
        possible = self._portion * min(2.0, PORTION_TIME / (time.monotonic() - began))
        self._portion = max(LEAST, min(int(possible), MOST))
