"""Cron specs, the unit of scheduling, and their next due times."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.cron.occurrences import InvalidCron, InvalidTimeZone, next_fire

log = logging.getLogger(__name__)


class CronSpec(NamedTuple):
    """A cron expression and its time zone."""

    cron_expression: str
    timezone: str


class NextDueTime(NamedTuple):
    """The next due time of a cron spec, or the reason why it has none."""

    spec: CronSpec
    next_due_at: datetime | None
    error: str | None = None


def next_due_time(spec: CronSpec, after: datetime) -> NextDueTime:
    """Return the first due time after an instant (exclusive); an invalid cron spec gives an error, not an exception."""
    try:
        return NextDueTime(spec, next_fire(spec.cron_expression, spec.timezone, after))
    except (InvalidCron, InvalidTimeZone) as error:
        return NextDueTime(spec, None, str(error))
    except Exception as error:
        # Values that bypassed the validation trigger may raise anything; only their own cron spec must fail.
        log.exception("no next due time for %r", spec)
        return NextDueTime(spec, None, f"{type(error).__name__}: {error}")


def spec_columns(specs: Sequence[CronSpec]) -> dict[str, list[str]]:
    """Return arrays for unnest() in a statement."""
    return {
        "crons": [spec.cron_expression for spec in specs],
        "zones": [spec.timezone for spec in specs],
    }


def next_due_columns(
    due_times: Sequence[NextDueTime],
) -> dict[str, list[str] | list[datetime | None] | list[str | None]]:
    """Return arrays for unnest() in a statement."""
    return {
        **spec_columns([due_time.spec for due_time in due_times]),
        "next": [due_time.next_due_at for due_time in due_times],
        "errors": [due_time.error for due_time in due_times],
    }
