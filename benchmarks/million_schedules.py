"""A million schedules in the state that a scheduler would leave, none of them due until a benchmark makes it so."""

import time
from datetime import datetime

from benchmarks.stack import Stack
from core.cron.time_zones import TZDATA_VERSION
from core.queue.keys import CHECKPOINT_KEY
from devstack.services import SCHEDULER
from tests.support.databases import Connection, bypass_triggers, execute, fetch_value, wait_for
from tests.support.processes import Service, cpu_seconds, is_leader, peak_memory

MODELS, SPECS = 1_000_000, 36_000
MIN_SPECS = 4  # one for each group of models
DISTANT_FUTURE = "2200-01-01 00:00+00"

# All in one month, so that a spec that has fired is not due again for a year.
CRON_EXPRESSION = "spec %% 60 || ' ' || spec / 60 %% 24 || ' ' || 1 + spec / 1440 || ' 6 *'"
# Spec 0 has one hundredth of the models, spec 1 has nine, and each other one has some 25 models.
INSERT_SCHEDULES = f"""
    INSERT INTO metrics_executions (model_id, name, cron_expression, active_since)
    SELECT gen_random_uuid(), 'model ' || n, {CRON_EXPRESSION}, now() - interval '30 d'
    FROM generate_series(1, %(models)s) AS n, LATERAL (
        SELECT CASE WHEN n <= %(models)s / 100 THEN 0 WHEN n <= %(models)s / 10 THEN 1
               ELSE 2 + n %% (%(specs)s - 2) END AS spec) AS model_group
"""
INSERT_CRONS = """
    INSERT INTO crons (cron_expression, timezone, next_due_at, last_due_at, tzdata_version)
    SELECT DISTINCT cron_expression, timezone, %(next_due_at)s::timestamptz, now() - interval '1 d', %(tzdata)s
    FROM metrics_executions
"""
MAKE_DUE = f"""
    UPDATE crons SET next_due_at = %(due_at)s
    WHERE cron_expression IN (SELECT {CRON_EXPRESSION} FROM generate_series(%(first)s, %(last)s) AS spec)
"""
MAKE_NOTHING_DUE = """
    UPDATE crons SET next_due_at = %(next_due_at)s WHERE next_due_at IS DISTINCT FROM %(next_due_at)s
"""


def fill(stack: Stack, models: int, specs: int) -> None:
    """Replace all schedules; in Redis and PostgreSQL, all messages count as sent."""
    with bypass_triggers(stack.db):
        execute(stack.db, "TRUNCATE metrics_executions, crons, fires")
        execute(stack.db, INSERT_SCHEDULES, {"models": models, "specs": max(MIN_SPECS, specs)})
        execute(stack.db, INSERT_CRONS, {"next_due_at": DISTANT_FUTURE, "tzdata": TZDATA_VERSION})
    reset(stack.db)
    stack.client.set(CHECKPOINT_KEY, fetch_value(stack.db, "SELECT now()").isoformat())


def make_due(db: Connection, due_at: datetime, first: int, last: int) -> None:
    """Set the next due time of the cron specs with these numbers (inclusive) to any time."""
    execute(db, MAKE_DUE, {"due_at": due_at, "first": first, "last": last})


def reset(db: Connection) -> None:
    """Make nothing due, and do the maintenance that PostgreSQL would otherwise do during a measurement."""
    execute(db, MAKE_NOTHING_DUE, {"next_due_at": DISTANT_FUTURE})
    for table in ("metrics_executions", "crons", "fires"):
        execute(db, f"VACUUM ANALYZE {table}")
    execute(db, "CHECKPOINT")


def start_scheduler(stack: Stack) -> Service:
    """Start a scheduler; returns when it is the leader and idle."""
    scheduler = stack.start("scheduler", SCHEDULER)
    wait_for(lambda: is_leader(stack.db, scheduler))
    wait_until_idle(scheduler)
    return scheduler


def wait_until_idle(scheduler: Service) -> None:
    """Return when it has used at most 10 ms of processor time within half a second."""
    before, now = -1.0, 0.0
    while now - before > 0.01:
        time.sleep(0.5)
        before, now = now, cpu_seconds(scheduler.popen.pid)


def peak_mib(scheduler: Service) -> float:
    """Return the peak memory of its process, in MiB."""
    return (peak_memory(scheduler.popen.pid) or 0) / 1024
