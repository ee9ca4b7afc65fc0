"""Models that run only once: each due once with a new cron spec, or paused with a run request.

Only these models show a delay of new cron specs and requests: known cron specs are fired meanwhile.
"""

import logging
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple

import psycopg2

from tests.chaos.periodic_thread import PeriodicThread
from tests.support.databases import Connection, execute, fetch_all

log = logging.getLogger("chaos")

PAUSES = 1.0, 3.0  # seconds from one model to the next
REQUESTED_SHARE = 0.3  # of the models: paused, with a run request
TIME_ZONES = [
    "UTC", "Europe/Warsaw", "Europe/London", "Asia/Kolkata", "Asia/Tokyo", "Asia/Kathmandu", "Africa/Lagos",
    "Africa/Casablanca", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Australia/Lord_Howe",
    "Australia/Sydney", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati",
]  # fmt: skip
NAME = "single run"

DDL = "CREATE TABLE chaos.single_runs (model_id uuid PRIMARY KEY, due_at timestamptz NOT NULL)"
# Not the next minute: the clock may be about to reach it, and the model would be inserted too late.
NEXT_SPEC = """
    SELECT due_at, to_char(due_at AT TIME ZONE %(zone)s, 'FMMI FMHH24 FMDD FMMM') || ' *'
    FROM (SELECT date_trunc('minute', public.schedule_now()) + interval '2 minutes' AS due_at) AS minute
"""
INSERT_DUE_ONCE = """
    WITH inserted AS (
        INSERT INTO public.metrics_executions (model_id, name, cron_expression, timezone)
        SELECT gen_random_uuid(), %(name)s, %(cron)s, %(zone)s
        WHERE public.schedule_now() < %(due_at)s::timestamptz - interval '1 minute' RETURNING model_id
    ), labels AS (
        INSERT INTO public.results (model_id, y_true, y_pred, "timestamp")
        SELECT model_id, '[0, 1]', '[0, 1]', public.schedule_now() FROM inserted
    )
    INSERT INTO chaos.single_runs SELECT model_id, %(due_at)s::timestamptz FROM inserted
"""
INSERT_REQUESTED = """
    WITH inserted AS (
        INSERT INTO public.metrics_executions (model_id, name, cron_expression, enabled, run_requested_at)
        VALUES (gen_random_uuid(), %(name)s, '@yearly', false, now()) RETURNING model_id, run_requested_at
    ), labels AS (
        INSERT INTO public.results (model_id, y_true, y_pred, "timestamp")
        SELECT model_id, '[0, 1]', '[0, 1]', public.schedule_now() FROM inserted
    )
    INSERT INTO chaos.single_runs SELECT model_id, run_requested_at FROM inserted
"""
DUE_TIMES = "SELECT model_id::text, due_at FROM chaos.single_runs"


class SingleDueTime(NamedTuple):
    """A cron spec that is due at one minute of this year."""

    due_at: datetime
    cron_expression: str
    timezone: str


def choose_spec(db: Connection, rng: random.Random) -> SingleDueTime:
    """Return a cron spec that is due soon, in a random time zone."""
    zone = rng.choice(TIME_ZONES)
    with db.cursor() as cursor:
        cursor.execute(NEXT_SPEC, {"zone": zone})
        [(due_at, cron)] = cursor.fetchall()
    return SingleDueTime(due_at, cron, zone)


def insert_due_once(db: Connection, spec: SingleDueTime) -> None:
    """Insert a model with this cron spec, unless it is due within a minute by now."""
    values = {"name": NAME, "cron": spec.cron_expression, "zone": spec.timezone, "due_at": spec.due_at}
    execute(db, INSERT_DUE_ONCE, values)


def insert_requested(db: Connection) -> None:
    """Insert a paused model with a run request."""
    execute(db, INSERT_REQUESTED, {"name": NAME})


def due_times(db: Connection) -> dict[str, datetime]:
    """Return the due time of each model."""
    return dict(fetch_all(db, DUE_TIMES))


class SingleRunModels(PeriodicThread):
    """Inserts such models periodically."""

    def __init__(self, owner: Callable[[], AbstractContextManager[Connection]], rng: random.Random) -> None:
        super().__init__("single-run models", rng, PAUSES)
        self._owner = owner

    def run_once(self) -> None:
        is_requested = self._rng.random() < REQUESTED_SHARE
        try:
            with self._owner() as db:
                execute(db, "SET lock_timeout = '2s'")
                if is_requested:
                    insert_requested(db)
                else:
                    insert_due_once(db, choose_spec(db, self._rng))
        except psycopg2.Error as error:
            log.info("single-run model not inserted: %s", " ".join(str(error).split()))
