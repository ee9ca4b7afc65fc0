"""A clock of the whole system that runs ahead of the real one, so that a due time comes when a benchmark needs it."""

from datetime import datetime, timedelta
from typing import NamedTuple

from tests.support.databases import Connection, execute, fetch_value

REPLACE_CLOCK = """
    CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN clock_timestamp() + {ahead} * interval '1 microsecond'
"""


class SimulatedDueTime(NamedTuple):
    """A due time by the simulated clock, and by the real one."""

    due_at: datetime
    real_time: float  # epoch seconds; Redis on the same machine has the real clock too


def set_ahead(db: Connection, ahead: timedelta) -> None:
    """Set the clock ahead of the real one, and wake the scheduler."""
    execute(db, REPLACE_CLOCK.format(ahead=ahead // timedelta(microseconds=1)))
    execute(db, "NOTIFY metrics_executions")


def set_before(db: Connection, due_at: datetime, lead: timedelta) -> SimulatedDueTime:
    """Set the clock to a time before a due time; it continues to run."""
    now: datetime = fetch_value(db, "SELECT clock_timestamp()")
    set_ahead(db, due_at - lead - now)
    return SimulatedDueTime(due_at, (now + lead).timestamp())
