"""The clock of the system under test: it runs at normal speed, and jumps to full minutes."""

import logging
import random
from collections.abc import Callable
from contextlib import AbstractContextManager

import psycopg2

from tests.chaos.periodic_thread import PeriodicThread
from tests.chaos.timeline import Jump, Timeline
from tests.support.databases import Connection, execute, fetch_all

log = logging.getLogger("chaos")

PAUSES = 2.0, 6.0  # seconds between two jumps
RETRY_INTERVAL = 0.2  # seconds

DDL = "CREATE SCHEMA chaos; CREATE TABLE chaos.jumps (at timestamptz PRIMARY KEY, clock_offset interval NOT NULL)"
# The row is written by the transaction of the jump: if the server dies during a commit, nothing else shows its outcome.
JUMP = """
    DO $jump$
    DECLARE
        at constant timestamptz := clock_timestamp();
        next_minute constant timestamptz := date_trunc('minute', public.schedule_now()) + interval '1 minute';
        -- hours without days, whose length would depend on the session's time zone
        clock_offset constant interval := make_interval(secs => extract(epoch FROM next_minute - at)::float8);
    BEGIN
        EXECUTE format('CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE'
            ' PARALLEL SAFE RETURN clock_timestamp() + %L::interval', clock_offset);
        INSERT INTO chaos.jumps VALUES (at, clock_offset);
        PERFORM pg_notify('metrics_executions', '');
    END;
    $jump$
"""
JUMPS = "SELECT at, clock_offset FROM chaos.jumps ORDER BY at"


class Clock(PeriodicThread):
    """Sets the clock of the system under test, periodically once started."""

    def __init__(self, owner: Callable[[], AbstractContextManager[Connection]], rng: random.Random) -> None:
        super().__init__("clock", rng, PAUSES)
        self._owner = owner
        self._is_failing = False
        self.jumps = 0

    def jump(self) -> bool:
        """Set the clock to the next full minute; False if PostgreSQL is unavailable."""
        try:
            with self._owner() as db:
                execute(db, JUMP)
        except psycopg2.Error as error:
            if not self._is_failing:
                log.info("clock not set: %s", " ".join(str(error).split()))
            self._is_failing = True
            return False
        self._is_failing = False
        self.jumps += 1
        return True

    def timeline(self) -> Timeline:
        with self._owner() as db:
            return Timeline([Jump(*row) for row in fetch_all(db, JUMPS)])

    def run_once(self) -> None:
        while not self.jump() and not self._stop.wait(RETRY_INTERVAL):
            pass
