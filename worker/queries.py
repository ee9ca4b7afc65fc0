"""What a worker reads from PostgreSQL: the newest row of each model."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import QueryCanceled

from core.postgres import RESPONSE_MARGIN, Connection, first_line
from core.results.models import NewestRowVersion

FIRST_ROWS = 4  # rows in memory at first, as each may hold a million labels, and the more, the smaller they are
MOST_ROWS = 50
MOST_CHARACTERS = 16_000_000  # of the labels in memory, as far as those of the rows before tell

# Classes of SQLSTATE of what may be wrong with the rows that a statement reads: data that cannot be converted, that
# exceed PostgreSQL's limits, or are damaged.
OF_THE_ROWS = ("22", "54", "XX")

SEEN_ROWS = """
    SELECT schedule.model_id::text, newest.id, newest."timestamp", newest.version, public.schedule_now()
    FROM public.metrics_executions AS schedule
    CROSS JOIN LATERAL public.newest_label_rows(ARRAY[schedule.model_id]) AS newest
    WHERE schedule.model_id = ANY (%(model_ids)s::uuid[]) AND (schedule.enabled OR %(requested)s)
"""
NEWEST_ROWS = """
    SELECT schedule.model_id::text, public.schedule_now(), newest.id, newest."timestamp", newest.version,
           newest.y_true::text, newest.y_pred::text
    FROM public.metrics_executions AS schedule
    LEFT JOIN LATERAL public.newest_label_rows(ARRAY[schedule.model_id]) AS newest ON true
    WHERE schedule.model_id = ANY (%(model_ids)s::uuid[]) AND (schedule.enabled OR %(requested)s)
"""

# The labels of another model, from a random place in the order of all: the server reads them, and sends their length.
# With a short time limit, since it is compared with what takes long.
OTHER_ROWS = """
    SET LOCAL statement_timeout = %(timeout)s;
    WITH start AS MATERIALIZED (SELECT gen_random_uuid() AS model_id), other AS (
        (SELECT schedule.model_id FROM public.metrics_executions AS schedule
         WHERE schedule.model_id >= (SELECT model_id FROM start) AND schedule.model_id <> ALL (%(model_ids)s::uuid[])
         ORDER BY schedule.model_id LIMIT 5)
        UNION ALL
        (SELECT schedule.model_id FROM public.metrics_executions AS schedule
         WHERE schedule.model_id < (SELECT model_id FROM start) AND schedule.model_id <> ALL (%(model_ids)s::uuid[])
         ORDER BY schedule.model_id LIMIT 5)
    )
    SELECT length(newest.y_true::text) + length(newest.y_pred::text)
    FROM other CROSS JOIN LATERAL public.newest_label_rows(ARRAY[other.model_id]) AS newest
    LIMIT 1
"""

NOW_IF_SCHEDULED = """
    SELECT public.schedule_now()
    FROM public.metrics_executions
    WHERE model_id = ANY (%(model_ids)s::uuid[]) AND (enabled OR %(requested)s)
"""


class SlowStatement(psycopg2.OperationalError):
    """PostgreSQL ended a statement after the time that it may take: the server is slow, or what it reads is large."""


class NewestRow(NamedTuple):
    """A scheduled model and its newest row of results, whose fields are None where there is none."""

    model_id: str
    read_at: datetime
    result_id: int | None
    timestamp: datetime | None
    version: str | None
    y_true: str | None  # JSON
    y_pred: str | None

    @property
    def characters(self) -> int:
        """How long the labels are."""
        return len(self.y_true or "") + len(self.y_pred or "")


def seen_rows(
    database: Connection, model_ids: Sequence[str], *, requested: bool
) -> tuple[list[NewestRowVersion], datetime | None]:
    """Return which rows are the newest of the models that still have a schedule, and when that was; None without any.

    Paused ones count only where a user requested the run.
    """
    found = _rows(database, SEEN_ROWS, model_ids, requested=requested)
    return [NewestRowVersion(*row[:4]) for row in found], max((row[4] for row in found), default=None)


def newest_rows(database: Connection, model_ids: Sequence[str], *, requested: bool) -> Iterator[list[NewestRow]]:
    """Yield the models that still have a schedule, few at a time where their rows are large.

    Which models count is as in seen_rows.
    """
    start, size = 0, FIRST_ROWS
    while start < len(model_ids):
        portion = model_ids[start : start + size]
        found = [NewestRow(*row) for row in _rows(database, NEWEST_ROWS, portion, requested=requested)]
        start += size
        largest = max((row.characters for row in found), default=0)
        size = max(1, min(2 * size, MOST_ROWS, MOST_CHARACTERS // (largest + 1)))
        yield found


def now_if_scheduled(database: Connection, model_id: str, *, requested: bool) -> datetime | None:
    """Return PostgreSQL's time, or None where the model's schedule is deleted or paused by now."""
    found = _rows(database, NOW_IF_SCHEDULED, [model_id], requested=requested)
    return found[0][0] if found else None


def may_be_of_the_rows(error: psycopg2.Error) -> bool:
    """Return True for an error that the rows may have caused, and not only the server."""
    return isinstance(error, SlowStatement) or (error.pgcode or "").startswith(OF_THE_ROWS)


def others_are_readable(database: Connection, model_ids: Sequence[str]) -> bool:
    """Return True if PostgreSQL reads the labels of another model soon; without one, all of these but the labels.

    Only then is an error of these models' rows about the rows.
    """
    try:
        with database.cursor() as cursor:
            timeout = f"{max(1, int(_limit(database) * 1000 / 4))}ms"
            cursor.execute(OTHER_ROWS, {"model_ids": list(model_ids), "timeout": timeout})
            if cursor.fetchone() is None:
                cursor.execute(SEEN_ROWS, {"model_ids": list(model_ids), "requested": True})
    except psycopg2.Error:
        return False
    return True


def _rows(database: Connection, query: str, model_ids: Sequence[str], *, requested: bool) -> list[tuple[Any, ...]]:
    began = time.monotonic()
    try:
        with database.cursor() as cursor:
            cursor.execute(query, {"model_ids": list(model_ids), "requested": requested})
            return cursor.fetchall()
    except QueryCanceled as error:
        if time.monotonic() - began < _limit(database):
            raise  # an administrator has cancelled it
        raise SlowStatement(first_line(error)) from error


def _limit(database: Connection) -> float:
    """Return how many seconds a statement may take."""
    return database.response_timeout - RESPONSE_MARGIN
