"""Pairs of a cron expression and a time zone: what the scheduler thinks in."""

import logging
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from core.cron.occurrences import InvalidCron, InvalidTimeZone, next_fire

log = logging.getLogger(__name__)


class Pair(NamedTuple):
    """A cron expression and the time zone in which it is meant."""

    cron_expression: str
    timezone: str


class Moment(NamedTuple):
    """When a pair is due next, or why it cannot be."""

    pair: Pair
    next_due_at: datetime | None
    error: str | None = None


def next_moment(pair: Pair, after: datetime) -> Moment:
    """Return the pair's first moment after this time; a row that got past the gate is an error, not an exception."""
    try:
        return Moment(pair, next_fire(pair.cron_expression, pair.timezone, after))
    except (InvalidCron, InvalidTimeZone) as error:
        return Moment(pair, None, str(error))
    except Exception as error:
        # A text or a time that no trigger has checked must cost its own pair only, whatever it does to the calendar.
        log.exception("no next due time for %r", pair)
        return Moment(pair, None, f"{type(error).__name__}: {error}")


def columns(pairs: Sequence[Pair]) -> dict[str, list[str]]:
    """Return the arrays that statements unnest."""
    return {
        "crons": [pair.cron_expression for pair in pairs],
        "zones": [pair.timezone for pair in pairs],
    }


def moment_columns(
    moments: Sequence[Moment],
) -> dict[str, list[str] | list[datetime | None] | list[str | None]]:
    """Return the arrays that statements unnest."""
    return {
        **columns([moment.pair for moment in moments]),
        "next": [moment.next_due_at for moment in moments],
        "errors": [moment.error for moment in moments],
    }
