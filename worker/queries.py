"""SQL queries for label rows: the newest row of each model."""

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import psycopg2
from psycopg2.errors import QueryCanceled

from core.postgres import RESPONSE_MARGIN, Connection, first_line
from core.results.models import NewestRowVersion

# Label rows in memory: few at first, as each may hold a million labels, and the more, the smaller they are.
MIN_PORTION = 4
MAX_PORTION = 50
MAX_PORTION_LENGTH = 16_000_000  # characters of labels, estimated from the portion before

# Classes of SQLSTATE that label rows may cause: data that cannot be converted, exceed PostgreSQL's limits, or are
# corrupted.
ROW_ERROR_CLASSES = ("22", "54", "XX")

NEWEST_VERSIONS = """
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

# The labels of another model, from a random position in the order of all: the server reads them and sends the length.
# With a short timeout, since it is compared with a statement that timed out.
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
    """The statement timeout has passed: the server is slow, or the label rows are large."""


class NewestRow(NamedTuple):
    """A scheduled model and its newest label row, whose fields are None where there is none."""

    model_id: str
    read_at: datetime
    result_id: int | None
    timestamp: datetime | None
    version: str | None
    y_true: str | None  # JSON
    y_pred: str | None

    @property
    def length(self) -> int:
        """Length of the labels, in characters of JSON."""
        return len(self.y_true or "") + len(self.y_pred or "")


def newest_versions(
    database: Connection, model_ids: Sequence[str], *, requested: bool
) -> tuple[list[NewestRowVersion], datetime | None]:
    """Return the versions of the newest label rows of models that have a schedule, and when they were read (or None).

    Paused schedules count only if a user requested the run.
    """
    rows = _fetch(database, NEWEST_VERSIONS, model_ids, requested=requested)
    versions = [NewestRowVersion(*version) for *version, _ in rows]
    return versions, max((read_at for *_, read_at in rows), default=None)


def newest_rows(database: Connection, model_ids: Sequence[str], *, requested: bool) -> Iterator[list[NewestRow]]:
    """Yield the newest label rows of models that have a schedule, in small portions where the rows are large.

    Paused schedules count only if a user requested the run.
    """
    start, size = 0, MIN_PORTION
    while start < len(model_ids):
        portion = model_ids[start : start + size]
        rows = [NewestRow(*row) for row in _fetch(database, NEWEST_ROWS, portion, requested=requested)]
        start += size
        max_length = max((row.length for row in rows), default=0)
        size = max(1, min(2 * size, MAX_PORTION, MAX_PORTION_LENGTH // (max_length + 1)))
        yield rows


def now_if_scheduled(database: Connection, model_id: str, *, requested: bool) -> datetime | None:
    """Return PostgreSQL's time; None if the schedule of the model has been deleted or paused."""
    rows = _fetch(database, NOW_IF_SCHEDULED, [model_id], requested=requested)
    return rows[0][0] if rows else None


def may_be_row_error(error: psycopg2.Error) -> bool:
    """Return True for an error that label rows may have caused, or the server."""
    return isinstance(error, SlowStatement) or (error.pgcode or "").startswith(ROW_ERROR_CLASSES)


def other_rows_are_readable(database: Connection, model_ids: Sequence[str]) -> bool:
    """Return True if PostgreSQL reads the labels of another model in time; without one, the versions of these rows.

    Only then is an error of these label rows caused by them.
    """
    try:
        with database.cursor() as cursor:
            timeout = f"{max(1, int(_statement_timeout(database) * 1000 / 4))}ms"
            cursor.execute(OTHER_ROWS, {"model_ids": list(model_ids), "timeout": timeout})
            if cursor.fetchone() is None:
                cursor.execute(NEWEST_VERSIONS, {"model_ids": list(model_ids), "requested": True})
    except psycopg2.Error:
        return False
    return True


def _fetch(database: Connection, query: str, model_ids: Sequence[str], *, requested: bool) -> list[tuple[Any, ...]]:
    started_at = time.monotonic()
    try:
        with database.cursor() as cursor:
            cursor.execute(query, {"model_ids": list(model_ids), "requested": requested})
            return cursor.fetchall()
    except QueryCanceled as error:
        if time.monotonic() - started_at < _statement_timeout(database):
            raise  # cancelled by an administrator
        raise SlowStatement(first_line(error)) from error


def _statement_timeout(database: Connection) -> float:
    """Return the statement timeout in seconds."""
    return database.response_timeout - RESPONSE_MARGIN
