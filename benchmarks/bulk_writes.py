"""Writes of a million schedules at once, with and without the triggers: python -m benchmarks.bulk_writes.

They are inserted by one COPY, changed by one UPDATE, deleted by one DELETE. With the triggers, a
scheduler runs, and a due time comes every few hundred milliseconds: each should be published in time.
"""

import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from benchmarks import simulated_clock
from benchmarks.measurements import Measurements, Options, Stopwatch, run_benchmark
from benchmarks.row_sizes import add_row_sizes
from benchmarks.stack import Stack, running
from devstack.services import SCHEDULER
from tests.support.databases import execute, fetch_value, wait_for

SCHEDULES = 1_000_000
WATCHED_MODELS = 10  # run each minute, and not changed by the statements
SETTINGS = {"autovacuum": "off", "shared_buffers": "512MB", "max_wal_size": "4GB"}
LEAD = timedelta(seconds=0.3)  # from setting the clock to the due time
MINUTE = timedelta(minutes=1)
START = datetime(2027, 1, 1, tzinfo=UTC)
TIMEOUT = 60.0  # seconds

# The minutes of a day on each of 25 days: 36,000 cron specs.
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


@dataclass
class StatementRuns:
    """Durations of a statement (seconds), and lags of the due times during it (milliseconds)."""

    without_triggers: list[float] = field(default_factory=list)
    with_triggers: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)


def benchmark(measurements: Measurements, options: Options) -> None:
    statement_runs = {name: StatementRuns() for name in STATEMENTS}
    schedules = options.scaled(SCHEDULES)
    with running(SETTINGS) as stack:
        measurements.describe_environment(stack.db)
        execute(stack.db, "SET synchronous_commit = off")  # setting the clock must not wait for the disk
        path = Path(fetch_value(stack.db, "SHOW data_directory")) / "schedules.tsv"
        execute(stack.db, EXPORT.format(schedules=schedules, path=path))
        execute(stack.db, STATEMENTS["COPY"].format(path=path))
        execute(stack.db, "VACUUM ANALYZE metrics_executions")
        add_row_sizes(measurements, stack.db, "metrics_executions", f"{schedules:,} rows")
        for _ in range(options.runs):
            run_without_triggers(stack, path, statement_runs)
            run_with_triggers(stack, path, statement_runs)
    for name, runs in statement_runs.items():
        label = f"{name}, {schedules:,} schedules"
        measurements.add(f"{label}, without triggers", "s", runs.without_triggers)
        measurements.add(f"{label}, with triggers and a scheduler", "s", runs.with_triggers)
        ratios = [slow / fast for slow, fast in zip(runs.with_triggers, runs.without_triggers, strict=True)]
        measurements.add(f"{label}, with to without triggers", "times", ratios, "at most 2.5")
        measurements.add(f"{label}, lag of each due time meanwhile", "ms", runs.lags, "at most 1,000")


def run_without_triggers(stack: Stack, path: Path, statement_runs: dict[str, StatementRuns]) -> None:
    execute(stack.db, PREPARE.format(triggers="DISABLE", now=START, watched=WATCHED_MODELS))
    for name, statement in STATEMENTS.items():
        with Stopwatch() as stopwatch:
            execute(stack.db, statement.format(path=path))
        statement_runs[name].without_triggers.append(stopwatch.seconds)
        execute(stack.db, "VACUUM metrics_executions")


def run_with_triggers(stack: Stack, path: Path, statement_runs: dict[str, StatementRuns]) -> None:
    execute(stack.db, PREPARE.format(triggers="ENABLE", now=START, watched=WATCHED_MODELS))
    stack.client.flushall()
    scheduler = stack.start("scheduler", SCHEDULER)
    wait_for(lambda: fetch_value(stack.db, "SELECT count(next_due_at) FROM crons") == 1, seconds=TIMEOUT)
    due_at = START + MINUTE
    for name, statement in STATEMENTS.items():
        runs = statement_runs[name]
        thread = StatementThread(stack, statement.format(path=path))
        thread.start()
        # At least one due time for each statement: if it takes less time, the due time comes just after the commit.
        while thread.is_alive() or len(runs.lags) < len(runs.with_triggers) + 1:
            lag = measure_lag(stack, due_at)
            runs.lags += [] if lag is None else [lag]
            due_at += MINUTE
        thread.join()
        runs.with_triggers.append(thread.seconds)
        execute(stack.db, "VACUUM metrics_executions")
    stack.unwatch(scheduler)
    scheduler.stop()


class StatementThread(threading.Thread):
    """Runs a statement on a connection of its own, and measures its duration."""

    seconds: float

    def __init__(self, stack: Stack, statement: str) -> None:
        super().__init__()
        self._db = stack.connect()
        self._statement = statement

    def run(self) -> None:
        with Stopwatch() as stopwatch:
            execute(self._db, self._statement)
        self._db.close()
        self.seconds = stopwatch.seconds


def measure_lag(stack: Stack, due_at: datetime) -> float | None:
    """Return the lag of a due time in milliseconds; None if the clock itself was set too late."""
    due_time = simulated_clock.set_before(stack.db, due_at, LEAD)
    was_set_in_time = time.time() < due_time.real_time
    wait_for(lambda: fetch_value(stack.db, "SELECT count(*) FROM fires WHERE due_at = %s", due_at), seconds=TIMEOUT)
    return float(fetch_value(stack.db, LAG, due_at)) if was_set_in_time else None


if __name__ == "__main__":
    run_benchmark("bulk_writes", __doc__, benchmark)
