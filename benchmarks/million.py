"""A million schedules as a scheduler would leave them, none of them due before a bench says so."""

import time
from datetime import datetime

from benchmarks.stack import Stack
from core.cron.time_zones import TZDATA_VERSION
from core.queue.keys import CHECKPOINT_KEY
from devstack.services import SCHEDULER
from tests.support.databases import Connection, one, past_the_triggers, run, wait_for
from tests.support.processes import Service, cpu_seconds, is_leader, peak_memory

MODELS, PAIRS = 1_000_000, 36_000
FEWEST_PAIRS = 4  # so that each share has one
FAR = "2200-01-01 00:00+00"

# All of one month, so that what has fired is not due again for a year.
CRON = "pair %% 60 || ' ' || pair / 60 %% 24 || ' ' || 1 + pair / 1440 || ' 6 *'"
# Pair 0 has a hundredth of the models, pair 1 has nine, and each other one has some 25 models.
SCHEDULES = f"""
    INSERT INTO metrics_executions (model_id, name, cron_expression, active_since)
    SELECT gen_random_uuid(), 'model ' || n, {CRON}, now() - interval '30 d'
    FROM generate_series(1, %(models)s) AS n, LATERAL (
        SELECT CASE WHEN n <= %(models)s / 100 THEN 0 WHEN n <= %(models)s / 10 THEN 1
               ELSE 2 + n %% (%(pairs)s - 2) END AS pair) AS share
"""
CRONS = """
    INSERT INTO crons (cron_expression, timezone, next_due_at, last_due_at, tzdata_version)
    SELECT DISTINCT cron_expression, timezone, %(far)s::timestamptz, now() - interval '1 d', %(tzdata)s
    FROM metrics_executions
"""
MAKE_DUE = f"""
    UPDATE crons SET next_due_at = %(due_at)s
    WHERE cron_expression IN (SELECT {CRON} FROM generate_series(%(first)s, %(last)s) AS pair)
"""
REST = "UPDATE crons SET next_due_at = %s WHERE next_due_at IS DISTINCT FROM %s"


def fill(stack: Stack, models: int, pairs: int) -> None:
    """Have so many schedules, and no others; Redis and PostgreSQL agree that everything is sent."""
    with past_the_triggers(stack.db):
        run(stack.db, "TRUNCATE metrics_executions, crons, fires")
        run(stack.db, SCHEDULES, {"models": models, "pairs": max(FEWEST_PAIRS, pairs)})
        run(stack.db, CRONS, {"far": FAR, "tzdata": TZDATA_VERSION})
    tidy(stack.db)
    stack.client.set(CHECKPOINT_KEY, one(stack.db, "SELECT now()").isoformat())


def make_due(db: Connection, due_at: datetime, first: int, last: int) -> None:
    """Let these pairs be due at a moment, which may be any."""
    run(db, MAKE_DUE, {"due_at": due_at, "first": first, "last": last})


def tidy(db: Connection) -> None:
    """Let nothing be due, and leave no work for PostgreSQL to do at some other time."""
    run(db, REST, FAR, FAR)
    for table in ("metrics_executions", "crons", "fires"):
        run(db, f"VACUUM ANALYZE {table}")
    run(db, "CHECKPOINT")


def start_scheduler(stack: Stack) -> Service:
    """Start a scheduler, and return when it leads and has nothing to do."""
    scheduler = stack.start("scheduler", SCHEDULER)
    wait_for(lambda: is_leader(stack.db, scheduler))
    wait_until_idle(scheduler)
    return scheduler


def wait_until_idle(scheduler: Service) -> None:
    """Return when it has worked for no more than 10 ms of half a second."""
    before, now = -1.0, 0.0
    while now - before > 0.01:
        time.sleep(0.5)
        before, now = now, cpu_seconds(scheduler.popen.pid)


def memory(scheduler: Service) -> float:
    """Return the most that its process has taken, in MiB."""
    return (peak_memory(scheduler.popen.pid) or 0) / 1024
