"""Validation of a cron expression by the database; nothing is written."""

from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import cursor

from api.cron.schemas import CronError
from api.rows import fetch_rows

# The stored form and the errors of the validation trigger; at least one row.
VALIDATE = """
    SELECT public.schedule_now() AS now, normal.form AS cron_expression, problem.field, problem.message AS detail,
        problem.hint
    FROM (SELECT public.normalize_cron(%(expression)s) AS form) AS normal
    LEFT JOIN public.schedule_problems(normal.form, %(timezone)s) AS problem ON true
"""


class CronValidation(NamedTuple):
    """The outcome of a validation."""

    now: datetime
    cron_expression: str  # in its stored form
    errors: list[CronError]


def validate_cron(cur: cursor, expression: str, timezone: str) -> CronValidation:
    """Return the errors that the validation trigger would raise."""
    cur.execute(VALIDATE, {"expression": expression, "timezone": timezone})
    rows = fetch_rows(cur)
    errors: list[CronError] = [
        {"field": row["field"], "detail": row["detail"], "hint": row["hint"]} for row in rows if row["field"]
    ]
    return CronValidation(rows[0]["now"], rows[0]["cron_expression"], errors)
