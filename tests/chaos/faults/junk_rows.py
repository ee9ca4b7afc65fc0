"""Junk in rows that triggers have not checked."""

import json
from contextlib import ExitStack

from tests.chaos import scratch_models, single_run_models
from tests.chaos.faults import junk
from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.junk_notifications import notify
from tests.chaos.faults.registry import fault
from tests.support.databases import Connection, execute

# Timestamps outside of Python's range of datetime, or at its ends, where arithmetic in a time zone overflows.
UNUSUAL_TIMESTAMPS = [
    "-infinity", "infinity", "0001-01-01 00:00:00+00", "0044-03-15 12:00:00+00 BC", "20000-01-01 00:00:00+00",
]  # fmt: skip
INVALID_SPECS = [
    ("0 0 1 1 *", "__init__/py"),
    ("0 0 1 1 *", "../../etc/passwd"),
    ("0 0 1 1 *", "UTC\n"),
    ("0 0 1 1 *", ""),
    ("0 0 1 1 *", "x" * 2000),
    ("* * * * * *", "UTC"),
    ("1-99999999999999999999 * * * *", "UTC"),
    ("9" * 2000, "UTC"),
    ("\x01\x02", "UTC"),
    ("٣ * * * *", "UTC"),
    ("", "UTC"),
    ("*/0 * * * *", "UTC"),
    ("0 0 31 2 *", "UTC"),
]


@fault("junk: active_since", "junk rows")
def insert_unusual_active_since(context: FaultContext) -> None:
    """Insert rows with a cron spec each; half of them are also used by a valid model."""
    with ExitStack() as rows, context.system.owner() as db:
        for timestamp in UNUSUAL_TIMESTAMPS:
            spec = single_run_models.choose_spec(db, context.rng)
            rows.enter_context(
                scratch_models.unvalidated_row(
                    context, cron_expression=spec.cron_expression, timezone=spec.timezone, active_since=timestamp
                )
            )
            if context.rng.random() < 0.5:
                single_run_models.insert_due_once(db, spec)
            announce(db, spec.cron_expression, spec.timezone)
        junk.keep_for_single_runs(context)


@fault("junk: run_requested_at", "junk rows")
def insert_unusual_requests(context: FaultContext) -> None:
    with ExitStack() as rows:
        for timestamp in UNUSUAL_TIMESTAMPS:
            rows.enter_context(scratch_models.unvalidated_row(context, run_requested_at=timestamp, enabled=False))
        wake_scheduler(context)
        junk.keep_for_single_runs(context)


@fault("junk: a name that is too long", "junk rows")
def insert_long_name(context: FaultContext) -> None:
    """Insert a run request that cannot be cleared: the validation trigger rejects the UPDATE."""
    with scratch_models.unvalidated_row(context, name="x" * 300, run_requested_at="now"):
        wake_scheduler(context)
        junk.keep_for_single_runs(context)


@fault("junk: cron expressions and time zones", "junk rows")
def insert_invalid_specs(context: FaultContext) -> None:
    with ExitStack() as rows, context.system.owner() as db:
        for cron, zone in context.rng.sample(INVALID_SPECS, len(INVALID_SPECS)):
            rows.enter_context(scratch_models.unvalidated_row(context, cron_expression=cron, timezone=zone))
            announce(db, cron, zone)
        junk.keep_for_single_runs(context)


@fault("junk: results dated BC", "junk rows")
def insert_labels_before_christ(context: FaultContext) -> None:
    with scratch_models.scratch_model(context, timestamp="0044-03-15 12:00:00+00 BC"):
        junk.keep(context)


def announce(db: Connection, cron_expression: str, timezone: str) -> None:
    """Notify the scheduler of a cron spec, as the triggers do."""
    payload = json.dumps({"pairs": [[cron_expression, timezone]]})
    execute(db, "SELECT pg_notify(%s, %s)", junk.NOTIFY_CHANNEL, payload)


def wake_scheduler(context: FaultContext) -> None:
    notify(context, "")
