"""What a worker reads from PostgreSQL: the newest row of each model."""

from collections.abc import Generator, Sequence
from contextlib import closing
from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import connection

from worker.postgres import stream

AT_A_TIME = 10  # rows in memory; one row may hold a million labels

# One model at a time, so that the first rows come before the last ones are looked for.
NEWEST_ROWS = """
    SELECT schedule.model_id::text, public.schedule_now(), newest.id, newest."timestamp",
           newest.y_true::text, newest.y_pred::text
    FROM public.metrics_executions AS schedule
    LEFT JOIN LATERAL public.latest_results(ARRAY[schedule.model_id]) AS newest ON true
    WHERE schedule.model_id = ANY (%(model_ids)s::uuid[]) AND (schedule.enabled OR %(requested)s)
"""

NOW_IF_SCHEDULED = """
    SELECT public.schedule_now()
    FROM public.metrics_executions
    WHERE model_id = %(model_id)s::uuid AND (enabled OR %(requested)s)
"""


class NewestRow(NamedTuple):
    """A scheduled model and its newest row of results, whose fields are None where there is none."""

    model_id: str
    read_at: datetime
    result_id: int | None
    timestamp: datetime | None
    y_true: str | None  # JSON
    y_pred: str | None


def newest_rows(database: connection, model_ids: Sequence[str], *, requested: bool) -> Generator[list[NewestRow]]:
    """Yield the models that still have a schedule, a few at a time.

    Paused ones count only where a user requested the run.
    """
    values = {"model_ids": list(model_ids), "requested": requested}
    with closing(stream(database, NEWEST_ROWS, values, AT_A_TIME)) as portions:
        for rows in portions:
            yield [NewestRow(*row) for row in rows]


def now_if_scheduled(database: connection, model_id: str, *, requested: bool) -> datetime | None:
    """Return PostgreSQL's time, or None where the model's schedule is deleted or paused by now."""
    with database.cursor() as cursor:
        cursor.execute(NOW_IF_SCHEDULED, {"model_id": model_id, "requested": requested})
        row = cursor.fetchone()
    return row[0] if row else None
