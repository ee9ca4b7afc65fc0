"""The clock of the system under trial: it runs as the real one does, and jumps from full minute to full minute."""

import logging
import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import NamedTuple

import psycopg2

from tests.chaos.background import Periodic
from tests.support.databases import Connection, rows, run

log = logging.getLogger("chaos")

MINUTE = timedelta(minutes=1)
PAUSES = 2.0, 6.0  # seconds between two steps
RETRY = 0.2  # seconds

SETUP = "CREATE SCHEMA chaos; CREATE TABLE chaos.steps (at timestamptz PRIMARY KEY, shift interval NOT NULL)"
# The record belongs to the step's transaction: nobody else knows whether a commit succeeded on which the server died.
STEP = """
    DO $step$
    DECLARE
        at constant timestamptz := clock_timestamp();
        next_minute constant timestamptz := date_trunc('minute', public.schedule_now()) + interval '1 minute';
        -- hours, and no days: those would depend on the session's time zone
        shift constant interval := make_interval(secs => extract(epoch FROM next_minute - at)::float8);
    BEGIN
        EXECUTE format('CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE'
            ' PARALLEL SAFE RETURN clock_timestamp() + %L::interval', shift);
        INSERT INTO chaos.steps VALUES (at, shift);
        PERFORM pg_notify('metrics_executions', '');
    END;
    $step$
"""


class Step(NamedTuple):
    """From this real time on the clock is ahead by so much."""

    at: datetime
    shift: timedelta


class Timeline:
    """What the clock showed when."""

    def __init__(self, steps: Sequence[Step]) -> None:
        """Read steps in their order; before the first the clock was right."""
        self._steps = [Step(steps[0].at - timedelta(days=1), timedelta(0)), *steps]
        self._shown = [step.at + step.shift for step in self._steps]

    def real(self, shown: datetime) -> datetime:
        """Return when the clock showed this, or jumped over it."""
        position = bisect_right(self._shown, shown) - 1
        step = self._steps[position]
        real = shown - step.shift
        return min(real, self._steps[position + 1].at) if position + 1 < len(self._steps) else real

    def seconds(self, start: datetime, end: datetime) -> float:
        """Return how much real time passed while the clock went from start to end."""
        return (self.real(end) - self.real(start)).total_seconds()


def full_minutes(after: datetime, until: datetime) -> list[datetime]:
    """Return the full minutes in (after, until]."""
    first = after.replace(second=0, microsecond=0) + MINUTE
    return [first + number * MINUTE for number in range((until - first) // MINUTE + 1)]


class Clock(Periodic):
    """Steps the clock, in a thread of its own while it runs."""

    def __init__(self, owner: Callable[[], AbstractContextManager[Connection]], rng: random.Random) -> None:
        """Step by connections of the database's owner."""
        super().__init__("clock", rng, PAUSES)
        self._owner = owner
        self.steps = 0
        self._late = False

    def step(self) -> bool:
        """Set the clock to the next full minute; False if PostgreSQL is away."""
        try:
            with self._owner() as db:
                run(db, STEP)
        except psycopg2.Error as error:
            if not self._late:
                log.info("the clock cannot be stepped: %s", " ".join(str(error).split()))
            self._late = True
            return False
        self._late = False
        self.steps += 1
        return True

    def timeline(self) -> Timeline:
        with self._owner() as db:
            return Timeline([Step(*row) for row in rows(db, "SELECT at, shift FROM chaos.steps ORDER BY at")])

    def act(self) -> None:
        while not self.step() and not self._stop.wait(RETRY):
            pass
