"""What a worker reads from PostgreSQL: the newest row of each model."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import connection

from worker.results import SeenRow

FIRST_ROWS = 4  # rows in memory at first, as each may hold a million labels, and the more, the smaller they are
MOST_ROWS = 50
MOST_CHARACTERS = 16_000_000  # of the labels in memory, as far as those of the rows before tell

SEEN_ROWS = """
    SELECT schedule.model_id::text, newest.id, newest."timestamp", newest.version, public.schedule_now()
    FROM public.metrics_executions AS schedule
    CROSS JOIN LATERAL public.latest_results(ARRAY[schedule.model_id]) AS newest
    WHERE schedule.model_id = ANY (%(model_ids)s::uuid[]) AND (schedule.enabled OR %(requested)s)
"""
NEWEST_ROWS = """
    SELECT schedule.model_id::text, public.schedule_now(), newest.id, newest."timestamp", newest.version,
           newest.y_true::text, newest.y_pred::text
    FROM public.metrics_executions AS schedule
    LEFT JOIN LATERAL public.latest_results(ARRAY[schedule.model_id]) AS newest ON true
    WHERE schedule.model_id = ANY (%(model_ids)s::uuid[]) AND (schedule.enabled OR %(requested)s)
"""

NOW_IF_SCHEDULED = """
    SELECT public.schedule_now()
    FROM public.metrics_executions
    WHERE model_id = ANY (%(model_ids)s::uuid[]) AND (enabled OR %(requested)s)
"""


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
    database: connection, model_ids: Sequence[str], *, requested: bool
) -> tuple[list[SeenRow], datetime | None]:
    """Return which rows are the newest of the models that still have a schedule, and when that was; None without any.

    Paused ones count only where a user requested the run.
    """
    found = _rows(database, SEEN_ROWS, model_ids, requested=requested)
    return [SeenRow(*row[:4]) for row in found], max((row[4] for row in found), default=None)


def newest_rows(database: connection, model_ids: Sequence[str], *, requested: bool) -> Iterator[list[NewestRow]]:
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


def now_if_scheduled(database: connection, model_id: str, *, requested: bool) -> datetime | None:
    """Return PostgreSQL's time, or None where the model's schedule is deleted or paused by now."""
    found = _rows(database, NOW_IF_SCHEDULED, [model_id], requested=requested)
    return found[0][0] if found else None


def _rows(database: connection, query: str, model_ids: Sequence[str], *, requested: bool) -> list[tuple[Any, ...]]:
    with database.cursor() as cursor:
        cursor.execute(query, {"model_ids": list(model_ids), "requested": requested})
        return cursor.fetchall()
