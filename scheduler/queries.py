"""What every part of the scheduler asks PostgreSQL, and what it notes there of itself."""

from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import psycopg2
from psycopg2.extensions import ISOLATION_LEVEL_AUTOCOMMIT, ISOLATION_LEVEL_REPEATABLE_READ, connection

T = TypeVar("T")

AHEAD = 2000  # rows in memory, where batches are smaller

# Classes of SQLSTATE that may be about one of the rows of a statement: its data, a constraint, a limit of PostgreSQL,
# a trigger of users that refuses it, damage.
OF_THE_ROWS = ("22", "23", "44", "54", "P0", "XX")

# The clock once, as a constant of the statement: the indexes serve only such a one. And min() where EXISTS would do:
# after a large import, of which the planner has no statistics yet, EXISTS reads the whole table.
LOOK = """
    WITH clock AS MATERIALIZED (SELECT public.schedule_now() AS now)
    SELECT now,
        (SELECT max(next_due_at) FROM public.crons
         WHERE next_due_at <= (SELECT now FROM clock) AND next_due_at <> ALL (%(unrecorded)s::timestamptz[])) AS due_at,
        (SELECT min(next_due_at) FROM public.crons WHERE next_due_at > (SELECT now FROM clock)) AS next_due_at,
        (SELECT min(run_requested_at) FROM public.metrics_executions) IS NOT NULL AS requested
    FROM clock
"""

NOW = "SELECT public.schedule_now()"
LEAD = """
    UPDATE public.leader
    SET name = %(name)s, since = public.schedule_now(), looked_at = public.schedule_now(), error = NULL
"""
LOOKED_AT = "SELECT looked_at FROM public.leader"
NOTE_LOOK = "UPDATE public.leader SET looked_at = public.schedule_now(), error = %(error)s WHERE name = %(name)s"


class Look(NamedTuple):
    """What there is to do."""

    now: datetime
    due_at: datetime | None  # the latest moment that is due
    next_due_at: datetime | None  # the first one that is not
    requested: bool  # some run_requested_at is set


def rows(database: connection, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """Return all rows of a query."""
    with database.cursor() as cursor:
        cursor.execute(query, values)
        return cursor.fetchall()


def execute(database: connection, statement: str, **values: Any) -> None:
    """Run a statement that returns nothing."""
    with database.cursor() as cursor:
        cursor.execute(statement, values)


@contextmanager
def snapshot(database: connection) -> Iterator[None]:
    """Let all queries see the same moment of the database, whatever is committed meanwhile."""
    database.set_isolation_level(ISOLATION_LEVEL_REPEATABLE_READ)
    try:
        yield
    finally:
        if not database.closed:
            database.rollback()
            database.set_isolation_level(ISOLATION_LEVEL_AUTOCOMMIT)


def batches(database: connection, query: str, size: int, **values: Any) -> Iterator[list[Any]]:
    """Yield the values of a query's only column, so many at a time, within a snapshot."""
    cursor = database.cursor(name="batches")  # of the server; it ends with the snapshot
    cursor.execute(query, values)
    wanted = size  # the first ones come at once
    while found := cursor.fetchmany(wanted):
        for start in range(0, len(found), size):
            yield [value for (value,) in found[start : start + size]]
        wanted = max(1, AHEAD // size) * size


def look(database: connection, unrecorded: Collection[datetime] = ()) -> Look:
    """Return what there is to do; due times that are sent and not recorded yet are not due."""
    return Look(*rows(database, LOOK, unrecorded=list(unrecorded))[0])


def write_each(write: Callable[[Sequence[T]], None], items: Sequence[T]) -> list[tuple[T, Exception]]:
    """Write items in one statement; where PostgreSQL refuses them, find those that it refuses by themselves.

    Returns these, each with the error; all others are written. Raises what is not about the items.
    """
    try:
        write(items)
    except (psycopg2.Error, ValueError) as error:  # ValueError: psycopg2 has no way to write a value, such as a NUL
        if not items or not may_be_of_a_row(error):
            raise
        if len(items) == 1:
            return [(items[0], error)]
    else:
        return []
    middle = len(items) // 2
    return write_each(write, items[:middle]) + write_each(write, items[middle:])


def may_be_of_a_row(error: Exception) -> bool:
    """Return True for an error that one of a statement's rows or values may have caused."""
    if isinstance(error, psycopg2.Error):
        return (error.pgcode or "").startswith(OF_THE_ROWS)
    return isinstance(error, ValueError)


def now(database: connection) -> datetime:
    """Return the time by the clock of the whole system."""
    found: datetime = rows(database, NOW)[0][0]
    return found


def looked_at(database: connection) -> datetime | None:
    """Return when a leader looked last; None before the first one."""
    found: datetime | None = rows(database, LOOKED_AT)[0][0]
    return found


def note_lead(database: connection, name: str) -> None:
    """Note that this scheduler leads from now on."""
    execute(database, LEAD, name=name)


def note_look(database: connection, name: str, error: str | None) -> None:
    """Note that the leader looked, and what keeps it from sending."""
    execute(database, NOTE_LOOK, name=name, error=error)
