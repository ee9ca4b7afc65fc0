"""SQL queries that several parts of the scheduler use, and the record of the leader."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, ISOLATION_LEVEL_REPEATABLE_READ, connection

from core.cron.spec import CronSpec

T = TypeVar("T")

MAX_FETCH_SIZE = 2000  # rows fetched ahead

# Classes of SQLSTATE that one of the rows of a statement may have caused: its data, a constraint, a limit of
# PostgreSQL, a trigger of a user that refuses it, damage.
ROW_ERROR_CLASSES = ("22", "23", "44", "54", "P0", "XX")

# The clock is read once, as a constant of the statement: the indexes can only be used with a constant. min() instead of
# EXISTS: after a large import, without statistics, the planner would read the whole table for EXISTS.
DUE_STATE = """
    WITH clock AS MATERIALIZED (SELECT public.schedule_now() AS now)
    SELECT now,
        (SELECT max(next_due_at) FROM public.crons
         WHERE next_due_at <= (SELECT now FROM clock) AND next_due_at <> ALL (%(unrecorded)s::timestamptz[])) AS due_at,
        (SELECT min(next_due_at) FROM public.crons WHERE next_due_at > (SELECT now FROM clock)) AS next_due_at,
        (SELECT min(run_requested_at) FROM public.metrics_executions) IS NOT NULL AS has_requests
    FROM clock
"""
NOW = "SELECT public.schedule_now()"
SPECS_DUE_AT = "SELECT cron_expression, timezone FROM public.crons WHERE next_due_at = %(due_at)s"
RECORD_LEADERSHIP = """
    UPDATE public.leader
    SET name = %(name)s, since = public.schedule_now(), looked_at = public.schedule_now(), error = NULL
"""
LAST_HEARTBEAT = "SELECT looked_at FROM public.leader"
RECORD_HEARTBEAT = "UPDATE public.leader SET looked_at = public.schedule_now(), error = %(error)s WHERE name = %(name)s"


class DueState(NamedTuple):
    """The time, and what is due."""

    now: datetime
    due_at: datetime | None  # the latest due time that has come
    next_due_at: datetime | None  # the first one that has not
    has_requests: bool  # run_requested_at of some row is set


def rows(database: connection, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    with database.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def execute(database: connection, statement: str, **values: Any) -> None:
    """Run a statement that returns no rows."""
    with database.cursor() as cursor:
        cursor.execute(statement, values)


@contextmanager
def snapshot(database: connection) -> Iterator[None]:
    """Run all queries on the same snapshot of the database, whatever is committed meanwhile."""
    database.set_isolation_level(ISOLATION_LEVEL_REPEATABLE_READ)
    try:
        yield
    finally:
        if not database.closed:
            database.rollback()
            database.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)


def batches(database: connection, query: str, size: int, **values: Any) -> Iterator[list[Any]]:
    """Yield the values of a query's only column in batches, within a snapshot."""
    cursor = database.cursor(name="batches")  # a cursor of the server, closed with the snapshot
    cursor.execute(query, values)
    fetch_size = size  # the first batch comes at once
    while fetched := cursor.fetchmany(fetch_size):
        for start in range(0, len(fetched), size):
            yield [value for (value,) in fetched[start : start + size]]
        fetch_size = max(1, MAX_FETCH_SIZE // size) * size


def write_each(write: Callable[[Sequence[T]], None], items: Sequence[T]) -> list[tuple[T, Exception]]:
    """Write items in one statement; if PostgreSQL refuses it, bisect to the items that cause that.

    Returns these, each with its error; all others are written. Raises errors that are not about the items.
    """
    try:
        write(items)
    except (psycopg2.Error, ValueError) as error:  # ValueError: psycopg2 cannot write a value, such as a NUL
        if not items or not is_row_error(error):
            raise
        if len(items) == 1:
            return [(items[0], error)]
    else:
        return []
    middle = len(items) // 2
    return write_each(write, items[:middle]) + write_each(write, items[middle:])


def is_row_error(error: Exception) -> bool:
    """Return True for an error that one of the rows or values of a statement may have caused."""
    if isinstance(error, psycopg2.Error):
        return (error.pgcode or "").startswith(ROW_ERROR_CLASSES)
    return isinstance(error, ValueError)


def read_due_state(database: connection, unrecorded: Collection[datetime] = ()) -> DueState:
    """Return the time and what is due; due times that are published and not recorded yet are not due."""
    return DueState(*rows(database, DUE_STATE, unrecorded=list(unrecorded))[0])


def specs_due_at(database: connection, due_at: datetime) -> list[CronSpec]:
    """Return the cron specs with this next due time, within a snapshot."""
    zones: dict[str, str] = {}  # there are few, and each row comes with a copy of its own
    with database.cursor(name="specs") as cursor:
        cursor.execute(SPECS_DUE_AT, {"due_at": due_at})
        return [CronSpec(cron, zones.setdefault(zone, zone)) for cron, zone in cursor]


def now(database: connection) -> datetime:
    """Return the time by PostgreSQL's clock."""
    present: datetime = rows(database, NOW)[0][0]
    return present


def last_heartbeat(database: connection) -> datetime | None:
    """Return the time of the last heartbeat of a leader; None before the first one."""
    heartbeat: datetime | None = rows(database, LAST_HEARTBEAT)[0][0]
    return heartbeat


def record_leadership(database: connection, name: str) -> None:
    """Record that this scheduler is the leader from now on."""
    execute(database, RECORD_LEADERSHIP, name=name)


def record_heartbeat(database: connection, name: str, error: str | None) -> None:
    """Record that the leader works, and what keeps it from publishing."""
    execute(database, RECORD_HEARTBEAT, name=name, error=error)
