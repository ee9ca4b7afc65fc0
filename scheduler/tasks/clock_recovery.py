"""Recovery after PostgreSQL's clock was ahead, and came back: nothing would run until the old time is reached again."""

import logging
from datetime import datetime, timedelta

import psycopg2
from psycopg2.extensions import connection

from core.postgres import first_line
from scheduler.queries import execute, rows

log = logging.getLogger(__name__)

TOLERANCE = timedelta(minutes=1)  # a smaller step back only makes everybody wait for so long
PORTION = 5000  # rows of metrics_executions looked at together

# Next due times are worked out anew, as after a change of the time-zone data; what was sent ahead of time is no longer
# the last due time.
RESET = """
    UPDATE public.crons SET
        tzdata_version = CASE WHEN next_due_at > %(now)s THEN '' ELSE tzdata_version END,
        last_due_at = CASE WHEN last_due_at <= %(now)s THEN last_due_at END
    WHERE next_due_at > %(now)s OR last_due_at > %(now)s
"""
# The row trigger sets active_since to the present where it is ahead. Triggers of users may refuse, as for run requests.
CORRECT_ACTIVE_SINCE = """
    SET LOCAL statement_timeout = '2s';
    SET LOCAL lock_timeout = '50ms';
    WITH portion AS MATERIALIZED (
        SELECT id, active_since FROM public.metrics_executions WHERE id > %(position)s ORDER BY id LIMIT %(portion)s
    ), corrected AS (
        UPDATE public.metrics_executions SET run_requested_at = run_requested_at WHERE id IN (
            SELECT schedule.id FROM public.metrics_executions AS schedule
            WHERE schedule.id IN (SELECT id FROM portion WHERE active_since > public.schedule_now())
            FOR UPDATE SKIP LOCKED)
    )
    SELECT max(id) FROM portion
"""
NEXT_POSITION = """
    SELECT max(id) FROM (
        SELECT id FROM public.metrics_executions WHERE id > %(position)s ORDER BY id LIMIT %(portion)s) AS portion
"""


class ClockRecovery:
    """Compares each time with the one before."""

    def __init__(self, database: connection, looked_at: datetime | None) -> None:
        """Begin with the time at which a leader looked last."""
        self._database = database
        self._latest = looked_at
        self._position: int | None = None  # the rows up to here have an active_since that is not ahead

    def has_come_back(self, now: datetime) -> bool:
        """Return True where the clock was ahead at an earlier look; reset() and finish() have to follow."""
        if self._latest is not None and now < self._latest - TOLERANCE:
            return True
        self._latest = now
        return False

    def reset(self, now: datetime) -> None:
        """Reset due times that are ahead of the clock; a walk through all pairs then works them out."""
        log.warning("PostgreSQL's clock was at %s and is at %s: next due times are reset", self._latest, now)
        execute(self._database, RESET, now=now)

    def finish(self, now: datetime) -> None:
        """Take the clock for right from now on, and correct the schedules in portions."""
        self._latest = now
        self._position = 0

    def correct_some(self) -> bool:
        """Correct a portion of the schedules that were changed while the clock was ahead; False if none are left."""
        if self._position is None:
            return False
        values = {"position": self._position, "portion": PORTION}
        try:
            [(self._position,)] = rows(self._database, CORRECT_ACTIVE_SINCE, **values)
        except psycopg2.Error as error:
            if self._database.closed:
                raise
            log.warning("active_since stays ahead of the clock: %s", first_line(error))
            [(self._position,)] = rows(self._database, NEXT_POSITION, **values)
        return True
