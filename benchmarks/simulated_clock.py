"""A moment that comes when a bench wants it: the clock of the whole system runs, ahead of the real one."""

from datetime import datetime, timedelta
from typing import NamedTuple

from tests.support.databases import Connection, one, run

AHEAD = """
    CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN clock_timestamp() + {ahead} * interval '1 microsecond'
"""


class Moment(NamedTuple):
    """A moment of the cron expressions, and when it comes by the real clock."""

    due_at: datetime  # by the clock of the system
    comes_at: float  # epoch seconds, by the real clock; Redis on the same machine has it too


def set_ahead(db: Connection, ahead: timedelta) -> None:
    """Let the clock run so far ahead of the real one, and wake the scheduler."""
    run(db, AHEAD.format(ahead=ahead // timedelta(microseconds=1)))
    run(db, "NOTIFY metrics_executions")


def approach(db: Connection, due_at: datetime, lead: timedelta) -> Moment:
    """Put the clock so far before a moment, and let it run."""
    real: datetime = one(db, "SELECT clock_timestamp()")
    set_ahead(db, due_at - lead - real)
    return Moment(due_at, (real + lead).timestamp())
