"""Catch-up: of the due times that a cron spec has missed, only the latest one is fired; the others are counted."""

import logging
from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from psycopg2.extensions import connection

from core.cron.occurrences import count_fires, last_fire
from core.cron.spec import CronSpec, next_due_time, spec_columns
from core.postgres import first_line
from scheduler.queries import execute, rows, snapshot, specs_due_at, write_each
from scheduler.settings import Settings

log = logging.getLogger(__name__)

NEVER = datetime.min.replace(tzinfo=UTC)

NEXT_MISSED = """
    SELECT min(next_due_at) FROM public.crons
    WHERE next_due_at > %(after)s AND next_due_at <= %(until)s AND next_due_at <> ALL (%(unrecorded)s::timestamptz[])
"""
RECORD_SKIPPED = """
    WITH skip AS (
        SELECT * FROM unnest(
            %(crons)s::text[], %(zones)s::text[], %(next)s::timestamptz[], %(counted_at)s::timestamptz[],
            %(skipped)s::bigint[])
            AS skip (cron_expression, timezone, next_due_at, counted_at, skipped)
    ), moved AS (
        UPDATE public.crons AS cron SET next_due_at = skip.next_due_at FROM skip
        WHERE cron.cron_expression = skip.cron_expression AND cron.timezone = skip.timezone
            AND cron.next_due_at = %(due_at)s
        RETURNING skip.counted_at, skip.skipped
    )
    INSERT INTO public.fires AS fire (due_at, skipped, leader)
    SELECT counted_at, sum(skipped), %(leader)s FROM moved GROUP BY counted_at
    ON CONFLICT (due_at) DO UPDATE SET skipped = fire.skipped + excluded.skipped, leader = excluded.leader
"""


class Skip(NamedTuple):
    """Missed due times of a cron spec that are not fired."""

    spec: CronSpec
    next_due_at: datetime
    counted_at: datetime  # due time of the fire that counts them
    skipped: int


class MissedRuns:
    """Skips missed due times for which later ones stand in."""

    def __init__(self, database: connection, settings: Settings, leader: str) -> None:
        self._database = database
        self._leader = leader
        self._catch_up = settings.catch_up
        self._skipped_until = NEVER

    def skip_next(self, until: datetime, now: datetime, unrecorded: Collection[datetime]) -> bool:
        """Skip at the next due time that was missed before until (inclusive); False if there is none.

        Called before any missed run is published, so that the latest due times of all cron specs go first.
        """
        values = {"after": self._skipped_until, "until": until, "unrecorded": list(unrecorded)}
        [(missed,)] = rows(self._database, NEXT_MISSED, **values)
        if missed is None:
            return False
        self._skipped_until = missed
        self.skip(missed, now)
        return True

    def skip(self, due_at: datetime, now: datetime) -> bool:
        """Move cron specs that have missed later due times too on to the latest of them; False if there are none.

        If even the latest one is older than catch_up, it is skipped as well.
        """
        with snapshot(self._database):
            specs = specs_due_at(self._database, due_at)
        skips = [skip for spec in specs if (skip := _skip(spec, due_at, now, self._catch_up))]
        if not skips:
            return False

        def write(portion: Sequence[Skip]) -> None:
            execute(
                self._database,
                RECORD_SKIPPED,
                **spec_columns([skip.spec for skip in portion]),
                next=[skip.next_due_at for skip in portion],
                counted_at=[skip.counted_at for skip in portion],
                skipped=[skip.skipped for skip in portion],
                due_at=due_at,
                leader=self._leader,
            )

        refused = write_each(write, skips)
        for skip, error in refused:
            log.error("PostgreSQL refuses to record %r as skipped: %s", skip.spec, first_line(error))
        total = sum(skip.skipped for skip in skips) - sum(skip.skipped for skip, _ in refused)
        recorded = len(skips) - len(refused)
        log.warning("skipped %s due times of %s cron specs since %s", total, recorded, due_at.isoformat())
        return recorded > 0

    def reset(self) -> None:
        """Start again with the earliest missed due time."""
        self._skipped_until = NEVER


def _skip(spec: CronSpec, due_at: datetime, now: datetime, catch_up: timedelta) -> Skip | None:
    try:
        # With older time-zone data the cron spec was due at due_at: then it is.
        latest = max(last_fire(spec.cron_expression, spec.timezone, now), due_at)
        skipped = count_fires(spec.cron_expression, spec.timezone, due_at, latest)
    except Exception:  # a value that bypassed the validation trigger: fired once more, and next_due_time has the error
        return None
    if latest < now - catch_up:
        next_due_at = next_due_time(spec, now).next_due_at
        return Skip(spec, next_due_at, latest, skipped + 1) if next_due_at else None
    return Skip(spec, latest, latest, skipped) if latest > due_at else None
