"""Recovery after PostgreSQL's clock was set back: without it, nothing would run until the old time is reached again."""

import logging
from datetime import datetime, timedelta

import psycopg2
from psycopg2.extensions import connection

from core.postgres import first_line
from scheduler.queries import execute, rows

log = logging.getLogger(__name__)

TOLERANCE = timedelta(minutes=1)  # a smaller step back only delays runs by as much
BATCH_SIZE = 5000  # rows of metrics_executions

# Next due times are calculated again, as after a change of the time-zone data; a due time that was fired ahead of time
# is no longer the last one.
RESET = """
    UPDATE public.crons SET
        tzdata_version = CASE WHEN next_due_at > %(now)s THEN '' ELSE tzdata_version END,
        last_due_at = CASE WHEN last_due_at <= %(now)s THEN last_due_at END
    WHERE next_due_at > %(now)s OR last_due_at > %(now)s
"""
# The row trigger sets active_since to now where it is ahead. Triggers of users may refuse, as for run requests.
CORRECT_ACTIVE_SINCE = """
    SET LOCAL statement_timeout = '2s';
    SET LOCAL lock_timeout = '50ms';
    WITH batch AS MATERIALIZED (
        SELECT id, active_since FROM public.metrics_executions WHERE id > %(position)s ORDER BY id LIMIT %(limit)s
    ), corrected AS (
        UPDATE public.metrics_executions SET run_requested_at = run_requested_at WHERE id IN (
            SELECT schedule.id FROM public.metrics_executions AS schedule
            WHERE schedule.id IN (SELECT id FROM batch WHERE active_since > public.schedule_now())
            FOR UPDATE SKIP LOCKED)
    )
    SELECT max(id) FROM batch
"""
NEXT_POSITION = """
    SELECT max(id) FROM (
        SELECT id FROM public.metrics_executions WHERE id > %(position)s ORDER BY id LIMIT %(limit)s) AS batch
"""


class ClockRecovery:
    """Compares the clock with its latest time."""

    def __init__(self, database: connection, last_heartbeat: datetime | None) -> None:
        """Start with the time of the last heartbeat of a leader."""
        self._database = database
        self._latest = last_heartbeat
        self._position: int | None = None  # rows up to this id are corrected

    def was_set_back(self, now: datetime) -> bool:
        """Return True if the clock was set back since the last call; reset() and finish() have to follow."""
        if self._latest is not None and now < self._latest - TOLERANCE:
            return True
        self._latest = now
        return False

    def reset(self, now: datetime) -> None:
        """Reset due times that are ahead of the clock; a scan of all cron specs then calculates them."""
        log.warning("PostgreSQL's clock was set back from %s to %s: resetting next due times", self._latest, now)
        execute(self._database, RESET, now=now)

    def finish(self, now: datetime) -> None:
        """Accept the present time, and start to correct the schedules in batches."""
        self._latest = now
        self._position = 0

    def correct_some(self) -> bool:
        """Correct a batch of schedules that were changed while the clock was ahead; False if none are left."""
        if self._position is None:
            return False
        values = {"position": self._position, "limit": BATCH_SIZE}
        try:
            [(self._position,)] = rows(self._database, CORRECT_ACTIVE_SINCE, **values)
        except psycopg2.Error as error:
            if self._database.closed:
                raise
            log.warning("active_since not corrected, it stays ahead of the clock: %s", first_line(error))
            [(self._position,)] = rows(self._database, NEXT_POSITION, **values)
        return True
