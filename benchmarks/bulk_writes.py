"""A million schedules at once, with and without the triggers: python -m benchmarks.bulk_writes.

They are added by one COPY, changed by one UPDATE, deleted by one DELETE. With the triggers, a
scheduler runs, and a moment comes every few hundred milliseconds: each should be on time.
"""

import threading
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks.measurements import Figures, Wanted, Watch, command
from benchmarks.row_sizes import add_sizes
from benchmarks.simulated_clock import approach
from benchmarks.stack import Stack, running
from devstack.services import SCHEDULER
from tests.support.databases import one, run, wait_for

SCHEDULES = 1_000_000
WATCHED = 10  # models that run each minute, which no statement touches
SETTINGS = {"autovacuum": "off", "shared_buffers": "512MB", "max_wal_size": "4GB"}
LEAD = timedelta(seconds=0.3)  # from the setting of the clock to the moment
MINUTE = timedelta(minutes=1)
FIRST = datetime(2027, 1, 1, tzinfo=UTC)
PATIENCE = 60.0  # seconds

# A day's minutes on each of 25 days: 36,000 pairs of cron expression and time zone.
EXPORT = """
    COPY (SELECT gen_random_uuid(), n % 60 || ' ' || n / 60 % 24 || ' ' || n / 1440 % 25 + 1 || ' * *'
          FROM generate_series(0, {schedules} - 1) AS n) TO '{path}'
"""
STATEMENTS = {
    "COPY": "COPY metrics_executions (model_id, cron_expression) FROM '{path}'",
    "UPDATE of cron_expression": """
        UPDATE metrics_executions SET cron_expression = regexp_replace(cron_expression, '^[0-9]+', '*/5')
        WHERE name IS NULL
    """,
    "DELETE": "DELETE FROM metrics_executions WHERE name IS NULL",
}
PREPARE = """
    TRUNCATE metrics_executions, crons, fires;
    ALTER TABLE metrics_executions {triggers} TRIGGER USER;
    CREATE OR REPLACE FUNCTION schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN '{now}'::timestamptz;
    INSERT INTO metrics_executions (model_id, name, cron_expression)
        SELECT gen_random_uuid(), 'watched', '* * * * *' FROM generate_series(1, {watched});
    CHECKPOINT
"""
LAG = "SELECT extract(epoch FROM lag) * 1000 FROM fires WHERE due_at = %s AND finished_at IS NOT NULL"


def bench(figures: Figures, wanted: Wanted) -> None:
    """Measure everything."""
    gated: dict[str, list[float]] = {what: [] for what in STATEMENTS}
    plain: dict[str, list[float]] = {what: [] for what in STATEMENTS}
    lags: dict[str, list[float]] = {what: [] for what in STATEMENTS}
    schedules = wanted.size(SCHEDULES)
    with running(SETTINGS) as stack:
        figures.describe(stack.db)
        run(stack.db, "SET synchronous_commit = off")  # what sets the clock must not wait for the disk
        path = Path(one(stack.db, "SHOW data_directory")) / "schedules.tsv"
        run(stack.db, EXPORT.format(schedules=schedules, path=path))
        run(stack.db, STATEMENTS["COPY"].format(path=path))
        run(stack.db, "VACUUM ANALYZE metrics_executions")
        add_sizes(figures, stack.db, "metrics_executions", f"{schedules:,} rows")
        for _ in range(wanted.runs):
            for what, seconds in time_without_triggers(stack, path).items():
                plain[what].append(seconds)
            with_triggers(stack, path, gated, lags)
    for what in STATEMENTS:
        name = f"{what}, {schedules:,} schedules"
        figures.add(f"{name}, without triggers", "s", plain[what])
        figures.add(f"{name}, with triggers and a scheduler", "s", gated[what])
        ratios = [slow / fast for slow, fast in zip(gated[what], plain[what], strict=True)]
        figures.add(f"{name}, with to without", "times", ratios, "at most 2.5")
        figures.add(f"{name}, each moment meanwhile, how late", "ms", lags[what], "at most 1,000")


def time_without_triggers(stack: Stack, path: Path) -> dict[str, float]:
    """Return the seconds of each statement."""
    run(stack.db, PREPARE.format(triggers="DISABLE", now=FIRST, watched=WATCHED))
    took = {}
    for what, statement in STATEMENTS.items():
        with Watch() as watch:
            run(stack.db, statement.format(path=path))
        took[what] = watch.seconds
        run(stack.db, "VACUUM metrics_executions")
    return took


def with_triggers(stack: Stack, path: Path, gated: dict[str, list[float]], lags: dict[str, list[float]]) -> None:
    """Add the seconds of each statement, and how late the moments were that came while it ran."""
    run(stack.db, PREPARE.format(triggers="ENABLE", now=FIRST, watched=WATCHED))
    stack.client.flushall()
    scheduler = stack.start("scheduler", SCHEDULER)
    wait_for(lambda: one(stack.db, "SELECT count(next_due_at) FROM crons") == 1, seconds=PATIENCE)
    due_at = FIRST + MINUTE
    for what, statement in STATEMENTS.items():
        running_statement = Statement(stack, statement.format(path=path))
        running_statement.start()
        # At least one moment, also where the statement is soon over: it comes just after the commit then.
        while running_statement.is_alive() or len(lags[what]) < len(gated[what]) + 1:
            lag = live_through(stack, due_at)
            lags[what] += [] if lag is None else [lag]
            due_at += MINUTE
        running_statement.join()
        gated[what].append(running_statement.seconds)
        run(stack.db, "VACUUM metrics_executions")
    stack.forget(scheduler)
    scheduler.stop()


class Statement(threading.Thread):
    """A statement on a connection of its own."""

    seconds: float

    def __init__(self, stack: Stack, statement: str) -> None:
        super().__init__()
        self._db = stack.connect()
        self._statement = statement

    def run(self) -> None:
        """Run it, and note how long it took."""
        with Watch() as watch:
            run(self._db, self._statement)
        self._db.close()
        self.seconds = watch.seconds


def live_through(stack: Stack, due_at: datetime) -> float | None:
    """Let a moment come, and return how late it was, in milliseconds; None where the clock was set too late itself."""
    moment = approach(stack.db, due_at, LEAD)
    in_time = time.time() < moment.comes_at
    wait_for(lambda: one(stack.db, "SELECT count(*) FROM fires WHERE due_at = %s", due_at), seconds=PATIENCE)
    return float(one(stack.db, LAG, due_at)) if in_time else None


if __name__ == "__main__":
    command("bulk", __doc__, bench)
