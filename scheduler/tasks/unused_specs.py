"""Deletes cron specs that no enabled schedule uses any more."""

from psycopg2.extensions import connection

from core.cron.spec import CronSpec
from scheduler.queries import rows

BATCH_SIZE = 500  # cron specs
START = CronSpec("", "")

# Returns the last cron spec of the batch; no row if the batch was the last one.
DELETE_UNUSED = """
    WITH batch AS MATERIALIZED (
        SELECT cron_expression, timezone FROM public.crons
        WHERE (cron_expression, timezone) > (%(cron)s, %(zone)s)
        ORDER BY cron_expression, timezone LIMIT %(limit)s
    ), deleted AS (
        DELETE FROM public.crons AS cron USING batch
        WHERE (cron.cron_expression, cron.timezone) = (batch.cron_expression, batch.timezone)
            AND NOT EXISTS (
                SELECT FROM public.metrics_executions AS schedule
                WHERE schedule.enabled AND schedule.cron_expression = batch.cron_expression
                    AND schedule.timezone = batch.timezone)
    )
    SELECT cron_expression, timezone FROM batch
    ORDER BY cron_expression, timezone LIMIT 1 OFFSET %(limit)s - 1
"""


class UnusedSpecs:
    """A scan of all known cron specs, in batches."""

    def __init__(self, database: connection) -> None:
        self._database = database
        self._position = START  # the cron specs up to this one are done

    def delete_some(self) -> bool:
        """Delete unused cron specs of one batch; False after the last batch.

        Without a lock: a cron spec that comes into use again at the same moment is announced after that commit, and
        gets its next due time then.
        """
        values = {"cron": self._position.cron_expression, "zone": self._position.timezone, "limit": BATCH_SIZE}
        last = rows(self._database, DELETE_UNUSED, **values)
        self._position = CronSpec(*last[0]) if last else START
        return bool(last)
