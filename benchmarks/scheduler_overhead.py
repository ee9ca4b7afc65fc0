"""Overhead of a million schedules in the scheduler: python -m benchmarks.scheduler_overhead [--runs N] [--json FILE].

Restarts, idling, an import, edits and requested runs, with real servers, on the real clock, and without a worker.
"""

import subprocess
import sys
import time
from datetime import datetime, timedelta
from typing import NamedTuple

from benchmarks.measurements import Measurements, Options, Stopwatch, run_benchmark
from benchmarks.million_schedules import (
    MODELS,
    SPECS,
    fill,
    make_due,
    peak_mib,
    reset,
    start_scheduler,
    wait_until_idle,
)
from benchmarks.stack import Stack, running
from core.queue.keys import QUEUE
from devstack.services import SCHEDULER
from tests.support.databases import execute, fetch_all, fetch_value, wait_for
from tests.support.processes import Service, cpu_seconds

FEW_SCHEDULES = 100
EDITS = 100
IDLE_TIME = 20.0  # seconds
DUE_TIMES, DUE_INTERVAL = 10, timedelta(seconds=0.3)  # during an import
STATISTICS_DELAY = 4.0  # seconds until PostgreSQL includes the transactions of a session
POLL_INTERVAL = 0.0005  # seconds
COUNT_INTERVAL = 0.1  # seconds; counting takes 10 ms

LOAD_FILES = [sys.executable, "-c", "import celery.apps.beat, croniter, psycopg2, redis"]
TRANSACTIONS = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
# New cron specs, all in another month.
IMPORT = """
    INSERT INTO metrics_executions (model_id, name, cron_expression)
    SELECT gen_random_uuid(), 'import', spec %% 60 || ' ' || spec / 60 %% 24 || ' ' || 1 + spec / 1440 || ' 7 *'
    FROM generate_series(0, %s - 1) AS spec
"""
IMPORTED_SPECS = "SELECT count(next_due_at) FROM crons WHERE cron_expression LIKE '% 7 *'"
DELETE_IMPORT = """
    DELETE FROM metrics_executions WHERE name = 'import';
    DELETE FROM crons WHERE cron_expression LIKE '% 7 *';
"""
LAGS = "SELECT 1000 * extract(epoch FROM fired_at - due_at)::float8 FROM fires WHERE due_at = ANY (%s)"
EDIT = """
    UPDATE metrics_executions SET cron_expression = %s WHERE id = (SELECT max(id) - %s FROM metrics_executions)
"""
REQUEST_RUN = """
    UPDATE metrics_executions SET run_requested_at = now() WHERE id = (SELECT max(id) - %s FROM metrics_executions)
"""
HAS_NEXT_DUE_TIME = "SELECT count(next_due_at) FROM crons WHERE cron_expression = %s"


class Restart(NamedTuple):
    """A restart of the scheduler while a run is due."""

    seconds: float  # to the message
    mib: float  # peak memory after the scan of all cron specs


class Import(NamedTuple):
    """An import of new cron specs while others are due."""

    seconds: float  # until all have a next due time
    max_lag: float  # milliseconds, of the due times meanwhile


def benchmark(measurements: Measurements, options: Options) -> None:
    """Measure with few schedules, then with a million."""
    with running() as stack:
        measurements.describe_environment(stack.db)
        fill(stack, FEW_SCHEDULES, FEW_SCHEDULES)
        measure_restarts(stack, measurements, options, f"{FEW_SCHEDULES} schedules", ("", ""))
        fill(stack, options.scaled(MODELS), options.scaled(SPECS))
        goals = ("as with 100, plus 0.2", "at most 70")
        measure_restarts(stack, measurements, options, "1,000,000 schedules", goals)
        scheduler = start_scheduler(stack)
        measure_idling(stack, measurements, options, scheduler)
        measure_edits(stack, measurements, options)
        measure_imports(stack, measurements, options, scheduler)
        measurements.add("peak memory of the scheduler", "MiB", [peak_mib(scheduler)], "at most 70")
        assert not stack.unexpected_exits(), stack.last_output()


def measure_restarts(
    stack: Stack, measurements: Measurements, options: Options, label: str, goals: tuple[str, str]
) -> None:
    restarts = [restart(stack) for _ in range(options.runs)]
    seconds, mib = zip(*restarts, strict=True)
    measurements.add(f"{label}: start of the process to the message that is due", "s", seconds, goals[0])
    measurements.add(f"{label}: peak memory after the scan of all cron specs", "MiB", mib, goals[1])


def restart(stack: Stack) -> Restart:
    make_due(stack.db, fetch_value(stack.db, "SELECT now()"), 0, 0)
    subprocess.run(LOAD_FILES, check=True)  # the maintenance of a large table may have evicted them from the page cache
    with Stopwatch() as stopwatch:
        scheduler = stack.start("scheduler", SCHEDULER)
        wait_for_message(stack)
    wait_until_idle(scheduler)
    mib = peak_mib(scheduler)
    stack.unwatch(scheduler)
    scheduler.stop()
    stack.client.delete(QUEUE)
    reset(stack.db)
    return Restart(stopwatch.seconds, mib)


def measure_idling(stack: Stack, measurements: Measurements, options: Options, scheduler: Service) -> None:
    seconds = max(1.0, IDLE_TIME * options.scale)
    time.sleep(min(STATISTICS_DELAY, seconds))
    cpu_per_minute, transactions_per_minute = [], []
    for _ in range(options.runs):
        cpu, transactions = cpu_seconds(scheduler.popen.pid), fetch_value(stack.db, TRANSACTIONS)
        time.sleep(seconds)
        cpu_per_minute.append((cpu_seconds(scheduler.popen.pid) - cpu) * 60 / seconds)
        transactions_per_minute.append((fetch_value(stack.db, TRANSACTIONS) - transactions) * 60 / seconds)
    measurements.add("idle at 1,000,000 schedules: processor time per minute", "s", cpu_per_minute, "at most 0.1")
    measurements.add("idle at 1,000,000 schedules: transactions per minute", "", transactions_per_minute, "at most 100")


def measure_edits(stack: Stack, measurements: Measurements, options: Options) -> None:
    goal = "at most 10, worst 100"
    edits = [edit(stack, number) for number in range(options.scaled(EDITS))]
    measurements.add("new cron at 1,000,000 schedules: commit to its next due time", "ms", edits, goal)
    runs = [request_run(stack, number) for number in range(options.scaled(EDITS))]
    measurements.add("requested run at 1,000,000 schedules: commit to the message", "ms", runs, goal)


def edit(stack: Stack, number: int) -> float:
    """Return the milliseconds from the commit of a new cron expression to its next due time."""
    cron_expression = f"{number % 60} {number // 60} 1 8 *"
    execute(stack.db, EDIT, cron_expression, number)
    with Stopwatch() as stopwatch:
        while not fetch_value(stack.db, HAS_NEXT_DUE_TIME, cron_expression):
            time.sleep(POLL_INTERVAL)
    return stopwatch.seconds * 1000


def request_run(stack: Stack, number: int) -> float:
    """Return the milliseconds from the commit of a run request to the message."""
    execute(stack.db, REQUEST_RUN, number)
    with Stopwatch() as stopwatch:
        wait_for_message(stack)
    stack.client.delete(QUEUE)
    return stopwatch.seconds * 1000


def wait_for_message(stack: Stack) -> None:
    while not stack.client.llen(QUEUE):
        time.sleep(POLL_INTERVAL)


def measure_imports(stack: Stack, measurements: Measurements, options: Options, scheduler: Service) -> None:
    imports = []
    for _ in range(options.runs):
        imports.append(import_specs(stack, options.scaled(SPECS)))
        stack.client.delete(QUEUE)
        execute(stack.db, DELETE_IMPORT)
        reset(stack.db)
        wait_until_idle(scheduler)
    seconds, max_lags = zip(*imports, strict=True)
    label = "36,000 new cron specs at once"
    measurements.add(f"{label}: commit until all have their next due time", "s", seconds, "at most 6")
    measurements.add(f"{label}: largest lag of the due times meanwhile", "ms", max_lags)


def import_specs(stack: Stack, specs: int) -> Import:
    """Import new cron specs by one statement, while others are due."""
    execute(stack.db, IMPORT, specs)
    with Stopwatch() as stopwatch:
        now: datetime = fetch_value(stack.db, "SELECT now()")
        due_times = [now + (number + 1) * DUE_INTERVAL for number in range(DUE_TIMES)]
        for spec, due_at in enumerate(due_times, 2):
            make_due(stack.db, due_at, spec, spec)
        while fetch_value(stack.db, IMPORTED_SPECS) < specs:
            time.sleep(COUNT_INTERVAL)
    wait_for(lambda: len(fetch_all(stack.db, LAGS, due_times)) == DUE_TIMES)
    return Import(stopwatch.seconds, max(lag for (lag,) in fetch_all(stack.db, LAGS, due_times)))


if __name__ == "__main__":
    run_benchmark("scheduler_overhead", __doc__, benchmark)
