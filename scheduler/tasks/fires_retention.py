"""Deletes old rows of fires; their sums stay in retired_fires."""

from datetime import datetime, timedelta

from psycopg2.extensions import connection

from scheduler.queries import execute, now

DELETE_BATCH = 1000  # rows

# One statement: the deleted rows and those added to the totals are the same for any reader.
RETIRE_FIRES = """
    WITH retired AS (
        DELETE FROM public.fires WHERE due_at IN (
            SELECT due_at FROM public.fires
            WHERE due_at < %(before)s OR due_at > %(after)s ORDER BY due_at LIMIT %(limit)s)
        RETURNING fired_at, models, messages, skipped
    )
    UPDATE public.retired_fires AS total SET
        fires = total.fires + added.fires,
        models = total.models + added.models,
        messages = total.messages + added.messages,
        skipped = total.skipped + added.skipped
    FROM (
        SELECT count(fired_at) AS fires, sum(models) AS models, sum(messages) AS messages, sum(skipped) AS skipped
        FROM retired HAVING count(*) > 0
    ) AS added
"""
# Published while the clock was ahead, for a due time that has come in the meantime.
CORRECT_FIRES = """
    UPDATE public.fires SET fired_at = least(fired_at, %(now)s), finished_at = least(finished_at, %(now)s)
    WHERE finished_at > %(now)s
"""


def retire_old_fires(database: connection, retention: timedelta) -> bool:
    """Delete a batch of old rows. Returns False: the rest can wait for the next cleanup."""
    execute(database, RETIRE_FIRES, before=now(database) - retention, after="infinity", limit=DELETE_BATCH)
    return False


def retire_future_fires(database: connection, present: datetime) -> None:
    """Delete the rows of due times ahead of the clock, which was set back, and correct the others."""
    execute(database, RETIRE_FIRES, before="-infinity", after=present, limit=None)
    execute(database, CORRECT_FIRES, now=present)
