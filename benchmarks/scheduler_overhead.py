"""What a million schedules cost the scheduler: python -m benchmarks.scheduler_overhead [--runs N] [--json FILE].

Restarts, idling, an import, edits and requested runs, with real servers, on the real clock, and without a worker.
"""

import subprocess
import sys
import time
from datetime import datetime, timedelta

from benchmarks.measurements import Figures, Wanted, Watch, command
from benchmarks.million_schedules import MODELS, PAIRS, fill, make_due, memory, start_scheduler, tidy, wait_until_idle
from benchmarks.stack import Stack, running
from core.queue.keys import QUEUE
from devstack.services import SCHEDULER
from tests.support.databases import one, rows, run, wait_for
from tests.support.processes import Service, cpu_seconds

FEW = 100  # schedules
EDITS = 100
IDLE = 20.0  # seconds
MOMENTS, EVERY = 10, timedelta(seconds=0.3)  # due while an import is taken in
REPORTED = 4.0  # seconds; PostgreSQL knows of a session's transactions with such a delay
POLL = 0.0005  # seconds
SELDOM = 0.1  # seconds; it takes 10 ms to count

WARM_UP = [sys.executable, "-c", "import celery.apps.beat, croniter, psycopg2, redis"]
QUERIES = "SELECT xact_commit + xact_rollback FROM pg_stat_database WHERE datname = current_database()"
# 36,000 new ones of another month.
IMPORT = """
    INSERT INTO metrics_executions (model_id, name, cron_expression)
    SELECT gen_random_uuid(), 'import', pair %% 60 || ' ' || pair / 60 %% 24 || ' ' || 1 + pair / 1440 || ' 7 *'
    FROM generate_series(0, %s - 1) AS pair
"""
SETTLED = "SELECT count(next_due_at) FROM crons WHERE cron_expression LIKE '% 7 *'"
FORGET_IMPORT = """
    DELETE FROM metrics_executions WHERE name = 'import';
    DELETE FROM crons WHERE cron_expression LIKE '% 7 *';
"""
LATENESS = "SELECT 1000 * extract(epoch FROM fired_at - due_at)::float8 FROM fires WHERE due_at = ANY (%s)"
EDIT = """
    UPDATE metrics_executions SET cron_expression = %s WHERE id = (SELECT max(id) - %s FROM metrics_executions)
"""
REQUEST = """
    UPDATE metrics_executions SET run_requested_at = now() WHERE id = (SELECT max(id) - %s FROM metrics_executions)
"""
APPLIED = "SELECT count(next_due_at) FROM crons WHERE cron_expression = %s"


def bench(figures: Figures, wanted: Wanted) -> None:
    """Measure all of it; the table is filled once with few schedules, and once with the million."""
    with running() as stack:
        figures.describe(stack.db)
        fill(stack, FEW, FEW)
        bench_restarts(stack, figures, wanted, f"{FEW} schedules", ("", ""))
        fill(stack, wanted.size(MODELS), wanted.size(PAIRS))
        bench_restarts(stack, figures, wanted, "1,000,000 schedules", ("as with 100, plus 0.2", "at most 70"))
        scheduler = start_scheduler(stack)
        bench_idling(stack, figures, wanted, scheduler)
        bench_edits(stack, figures, wanted)
        bench_import(stack, figures, wanted, scheduler)
        figures.add("memory of the scheduler, at most", "MiB", [memory(scheduler)], "at most 70")
        assert not stack.exits(), stack.last_words()


def bench_restarts(stack: Stack, figures: Figures, wanted: Wanted, what: str, goals: tuple[str, str]) -> None:
    taken = [restart(stack) for _ in range(wanted.runs)]
    figures.add(
        f"{what}: start of the process to the message of what is due", "s", [each[0] for each in taken], goals[0]
    )
    figures.add(f"{what}: memory when all pairs are looked through", "MiB", [each[1] for each in taken], goals[1])


def restart(stack: Stack) -> tuple[float, float]:
    """Return how long it takes until what is due is sent (seconds), and the memory (MiB) after the full look."""
    make_due(stack.db, one(stack.db, "SELECT now()"), 0, 0)
    subprocess.run(WARM_UP, check=True)  # while a large table was tidied, the system may have put these files aside
    with Watch() as watch:
        scheduler = stack.start("scheduler", SCHEDULER)
        wait_for_messages(stack)
    wait_until_idle(scheduler)
    taken = memory(scheduler)
    stack.forget(scheduler)
    scheduler.stop()
    stack.client.delete(QUEUE)
    tidy(stack.db)
    return watch.seconds, taken


def bench_idling(stack: Stack, figures: Figures, wanted: Wanted, scheduler: Service) -> None:
    seconds = max(1.0, IDLE * wanted.scale)
    time.sleep(min(REPORTED, seconds))
    worked, queries = [], []
    for _ in range(wanted.runs):
        cpu, count = cpu_seconds(scheduler.popen.pid), one(stack.db, QUERIES)
        time.sleep(seconds)
        worked.append((cpu_seconds(scheduler.popen.pid) - cpu) * 60 / seconds)
        queries.append((one(stack.db, QUERIES) - count) * 60 / seconds)
    figures.add("idle at 1,000,000 schedules: processor time in a minute", "s", worked, "at most 0.1")
    figures.add("idle at 1,000,000 schedules: transactions in a minute", "", queries, "at most 100")


def bench_edits(stack: Stack, figures: Figures, wanted: Wanted) -> None:
    edits = [edit(stack, number) for number in range(wanted.size(EDITS))]
    figures.add("a new cron at 1,000,000 schedules: commit to its next moment", "ms", edits, "at most 10, worst 100")
    runs = [request_run(stack, number) for number in range(wanted.size(EDITS))]
    figures.add("run now at 1,000,000 schedules: commit to the message", "ms", runs, "at most 10, worst 100")


def edit(stack: Stack, number: int) -> float:
    cron = f"{number % 60} {number // 60} 1 8 *"
    run(stack.db, EDIT, cron, number)
    with Watch() as watch:
        while not one(stack.db, APPLIED, cron):
            time.sleep(POLL)
    return watch.seconds * 1000


def request_run(stack: Stack, number: int) -> float:
    run(stack.db, REQUEST, number)
    with Watch() as watch:
        wait_for_messages(stack)
    stack.client.delete(QUEUE)
    return watch.seconds * 1000


def wait_for_messages(stack: Stack) -> None:
    while not stack.client.llen(QUEUE):
        time.sleep(POLL)


def bench_import(stack: Stack, figures: Figures, wanted: Wanted, scheduler: Service) -> None:
    imports = []
    for _ in range(wanted.runs):
        imports.append(import_pairs(stack, wanted.size(PAIRS)))
        stack.client.delete(QUEUE)
        run(stack.db, FORGET_IMPORT)
        tidy(stack.db)
        wait_until_idle(scheduler)
    taken, late = zip(*imports, strict=True)
    figures.add("36,000 new pairs at once: commit until all have their next moment", "s", taken, "at most 6")
    figures.add("36,000 new pairs at once: the latest of the moments meanwhile", "ms", late)


def import_pairs(stack: Stack, pairs: int) -> tuple[float, float]:
    """Import new pairs by one statement while moments are due.

    The answer is how long it takes until all pairs have their next moments (seconds), and how late the latest of the
    moments was (milliseconds).
    """
    run(stack.db, IMPORT, pairs)
    with Watch() as watch:
        now: datetime = one(stack.db, "SELECT now()")
        moments = [now + (number + 1) * EVERY for number in range(MOMENTS)]
        for pair, due_at in enumerate(moments, 2):
            make_due(stack.db, due_at, pair, pair)
        while one(stack.db, SETTLED) < pairs:
            time.sleep(SELDOM)
    lateness = wait_for(lambda: len(found := rows(stack.db, LATENESS, moments)) == MOMENTS and found)
    assert lateness
    return watch.seconds, max(late for (late,) in lateness)


if __name__ == "__main__":
    command("schedules", __doc__, bench)
