"""Honest models that are new: each in a pair of its own and due once, or paused and asked to run.

Known pairs go on while new ones are not settled, so that only newcomers show this.
"""

import logging
import random
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime
from typing import NamedTuple

import psycopg2

from tests.chaos.background import Periodic
from tests.support.databases import Connection, rows, run

log = logging.getLogger("chaos")

PAUSES = 1.0, 3.0  # seconds from one newcomer to the next
REQUESTED = 0.3  # of them, the share that is paused and asked to run
ZONES = [
    "UTC", "Europe/Warsaw", "Europe/London", "Asia/Kolkata", "Asia/Tokyo", "Asia/Kathmandu", "Africa/Lagos",
    "Africa/Casablanca", "America/New_York", "America/Sao_Paulo", "America/St_Johns", "Australia/Lord_Howe",
    "Australia/Sydney", "Pacific/Auckland", "Pacific/Chatham", "Pacific/Kiritimati",
]  # fmt: skip
NAME = "newcomer"

SETUP = "CREATE TABLE chaos.newcomers (model_id uuid PRIMARY KEY, due_at timestamptz NOT NULL)"
# The moment after the next one: the clock may just pass a full minute, for which the model would be too late.
CHOOSE = """
    SELECT due_at, to_char(due_at AT TIME ZONE %(zone)s, 'FMMI FMHH24 FMDD FMMM') || ' *'
    FROM (SELECT date_trunc('minute', public.schedule_now()) + interval '2 minutes' AS due_at) AS moment
"""
DUE_ONCE = """
    WITH added AS (
        INSERT INTO public.metrics_executions (model_id, name, cron_expression, timezone)
        SELECT gen_random_uuid(), %(name)s, %(cron)s, %(zone)s
        WHERE public.schedule_now() < %(due_at)s::timestamptz - interval '1 minute' RETURNING model_id
    ), labels AS (
        INSERT INTO public.results (model_id, y_true, y_pred, "timestamp")
        SELECT model_id, '[0, 1]', '[0, 1]', public.schedule_now() FROM added
    )
    INSERT INTO chaos.newcomers SELECT model_id, %(due_at)s::timestamptz FROM added
"""
ON_REQUEST = """
    WITH added AS (
        INSERT INTO public.metrics_executions (model_id, name, cron_expression, enabled, run_requested_at)
        VALUES (gen_random_uuid(), %(name)s, '@yearly', false, now()) RETURNING model_id, run_requested_at
    ), labels AS (
        INSERT INTO public.results (model_id, y_true, y_pred, "timestamp")
        SELECT model_id, '[0, 1]', '[0, 1]', public.schedule_now() FROM added
    )
    INSERT INTO chaos.newcomers SELECT model_id, run_requested_at FROM added
"""


class DueOnce(NamedTuple):
    """A pair that is due at one full minute of this year."""

    due_at: datetime
    cron_expression: str
    timezone: str


def choose(db: Connection, rng: random.Random) -> DueOnce:
    """Return a pair that is due soon."""
    zone = rng.choice(ZONES)
    with db.cursor() as cursor:
        cursor.execute(CHOOSE, {"zone": zone})
        [(due_at, cron)] = cursor.fetchall()
    return DueOnce(due_at, cron, zone)


def add(db: Connection, pair: DueOnce) -> None:
    """Add an honest model of the pair, unless that is due within the next minute by now."""
    values = {"name": NAME, "cron": pair.cron_expression, "zone": pair.timezone, "due_at": pair.due_at}
    run(db, DUE_ONCE, values)


def request_run(db: Connection) -> None:
    """Add an honest model that is paused, and asked to run now."""
    run(db, ON_REQUEST, {"name": NAME})


def expected(db: Connection) -> dict[str, datetime]:
    """Return when each newcomer is due."""
    return dict(rows(db, "SELECT model_id::text, due_at FROM chaos.newcomers"))


class Newcomers(Periodic):
    """Adds them now and then, in a thread of its own."""

    def __init__(self, owner: Callable[[], AbstractContextManager[Connection]], rng: random.Random) -> None:
        """Add by connections of the database's owner."""
        super().__init__("newcomers", rng, PAUSES)
        self._owner = owner

    def act(self) -> None:
        is_requested = self._rng.random() < REQUESTED
        try:
            with self._owner() as db:
                run(db, "SET lock_timeout = '2s'")
                if is_requested:
                    request_run(db)
                else:
                    add(db, choose(db, self._rng))
        except psycopg2.Error as error:
            log.info("no newcomer: %s", " ".join(str(error).split()))
