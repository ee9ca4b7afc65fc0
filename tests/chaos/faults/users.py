"""Bulk edits by users, and rows that the validation trigger has not checked."""

import io
import uuid
from datetime import UTC, datetime

from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.registry import fault
from tests.support.databases import execute

BULK_SIZE = 10_000  # rows
TIME_ZONES = ["UTC", "Europe/Warsaw", "Asia/Kolkata", "Australia/Lord_Howe", "America/New_York", "Africa/Casablanca"]
NAME = "other"  # of schedules that are not counted
UNVALIDATED = [("never", "UTC"), ("* * * *", "UTC"), ("0 0 1 1 *", "Mars/Base"), ("@reboot", "UTC")]

RANDOM_IDS = "(SELECT id FROM metrics_executions WHERE name = %s ORDER BY random() LIMIT %s)"
UPDATE_SCHEDULES = (
    f"UPDATE metrics_executions SET cron_expression = id %% 60 || %s, timezone = %s WHERE id IN {RANDOM_IDS}"
)
TOGGLE_SCHEDULES = f"UPDATE metrics_executions SET enabled = NOT enabled WHERE id IN {RANDOM_IDS}"
DELETE_SCHEDULES = f"DELETE FROM metrics_executions WHERE id IN {RANDOM_IDS}"
COPY_SCHEDULES = "COPY metrics_executions (model_id, name, cron_expression, timezone) FROM STDIN"
INSERT_UNVALIDATED = """
    INSERT INTO metrics_executions (model_id, name, cron_expression, timezone)
    VALUES (gen_random_uuid(), 'unvalidated', %(cron)s, %(zone)s)
"""


@fault("10,000 inserts", "users")
def insert_schedules(context: FaultContext) -> None:
    lines = (
        f"{uuid.UUID(int=context.rng.getrandbits(128))}\t{NAME}"
        f"\t{random_yearly_cron(context)}\t{context.rng.choice(TIME_ZONES)}\n"
        for _ in range(BULK_SIZE)
    )
    with context.system.owner() as db, db.cursor() as cursor:
        cursor.copy_expert(COPY_SCHEDULES, io.StringIO("".join(lines)))


@fault("10,000 new crons and zones", "users")
def update_schedules(context: FaultContext) -> None:
    cron, zone = random_yearly_cron(context), context.rng.choice(TIME_ZONES)
    edit(context, UPDATE_SCHEDULES, cron[cron.index(" ") :], zone)


@fault("10,000 pauses and resumptions", "users")
def toggle_schedules(context: FaultContext) -> None:
    edit(context, TOGGLE_SCHEDULES)


@fault("10,000 deletes", "users")
def delete_schedules(context: FaultContext) -> None:
    edit(context, DELETE_SCHEDULES)


@fault("unvalidated rows", "users")
def insert_unvalidated_rows(context: FaultContext) -> None:
    with context.system.owner() as db:
        execute(db, "SET session_replication_role = replica")
        for cron, zone in UNVALIDATED:
            execute(db, INSERT_UNVALIDATED, {"cron": cron, "zone": zone})


def edit(context: FaultContext, statement: str, *values: str) -> None:
    """Edit random schedules that are not counted."""
    with context.system.owner() as db:
        execute(db, statement, *values, NAME, BULK_SIZE)


def random_yearly_cron(context: FaultContext) -> str:
    """Return a cron expression that is due once a year, about six months from now."""
    month = (datetime.now(UTC).month + 5) % 12 + 1
    return f"{context.rng.randrange(60)} {context.rng.randrange(24)} {context.rng.randint(1, 28)} {month} *"
