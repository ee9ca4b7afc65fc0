"""Calculates the next due times of cron specs that came into use, in batches, so that an import never delays a fire."""

import logging
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import connection

from core.cron.spec import CronSpec, NextDueTime, next_due_columns, next_due_time, spec_columns
from core.cron.time_zones import TZDATA_VERSION
from core.postgres import first_line
from scheduler.notifications import MalformedNotification, announced_specs
from scheduler.queries import execute, is_row_error, rows, write_each

log = logging.getLogger(__name__)

BATCH_SIZE = 500  # cron specs; takes some 20 to 50 ms
MAX_ANNOUNCED = 20_000  # cron specs in memory; more of them are found by a scan of the table
SCAN_INTERVAL = 300.0  # seconds; finds cron specs whose notification was lost
START = CronSpec("", "")

# A loose index scan: from each cron spec directly to the next one, however many rows share it.
SPECS_IN_USE = """
    WITH RECURSIVE spec AS (
        (SELECT cron_expression, timezone FROM public.metrics_executions
         WHERE enabled AND (cron_expression, timezone) > (%(cron)s, %(zone)s)
         ORDER BY cron_expression, timezone LIMIT 1)
        UNION ALL
        SELECT next_spec.cron_expression, next_spec.timezone
        FROM spec CROSS JOIN LATERAL (
            SELECT schedule.cron_expression, schedule.timezone FROM public.metrics_executions AS schedule
            WHERE schedule.enabled
                AND (schedule.cron_expression, schedule.timezone) > (spec.cron_expression, spec.timezone)
            ORDER BY schedule.cron_expression, schedule.timezone LIMIT 1
        ) AS next_spec
    )
    SELECT cron_expression, timezone FROM spec LIMIT %(limit)s
"""
# Materialized: a million rows may share a cron spec, and are read only for an outdated one. Its row of crons is looked
# up (LIMIT): just after an import, the planner would otherwise read the whole table for each batch.
OUTDATED_SPECS = """
    WITH outdated AS MATERIALIZED (
        SELECT spec.cron_expression, spec.timezone, cron.next_due_at
        FROM unnest(%(crons)s::text[], %(zones)s::text[]) AS spec (cron_expression, timezone)
        LEFT JOIN LATERAL (
            SELECT known.* FROM public.crons AS known
            WHERE known.cron_expression = spec.cron_expression AND known.timezone = spec.timezone LIMIT 1
        ) AS cron ON true
        WHERE cron.cron_expression IS NULL OR cron.tzdata_version <> %(tzdata)s
            OR (%(announced)s AND cron.error IS NOT NULL)
    )
    SELECT outdated.cron_expression, outdated.timezone, outdated.next_due_at, since.active_since
    FROM outdated
    CROSS JOIN LATERAL (
        -- A value that bypassed the triggers, at no time of this clock, must not affect the other schedules.
        SELECT min(CASE WHEN schedule.active_since BETWEEN '1971-01-01' AND %(now)s + interval '1 minute'
                        THEN schedule.active_since ELSE %(now)s END) AS active_since
        FROM public.metrics_executions AS schedule
        WHERE schedule.enabled AND schedule.cron_expression = outdated.cron_expression
            AND schedule.timezone = outdated.timezone
    ) AS since
    WHERE since.active_since IS NOT NULL
"""
SAVE_NEXT_DUE_TIMES = """
    INSERT INTO public.crons AS cron (cron_expression, timezone, next_due_at, error, tzdata_version)
    SELECT cron_expression, timezone, next_due_at, error, %(tzdata)s
    FROM unnest(%(crons)s::text[], %(zones)s::text[], %(next)s::timestamptz[], %(errors)s::text[])
        AS next_due (cron_expression, timezone, next_due_at, error)
    ON CONFLICT (cron_expression, timezone) DO UPDATE SET
        next_due_at = excluded.next_due_at, error = excluded.error, tzdata_version = excluded.tzdata_version
"""


class OutdatedSpec(NamedTuple):
    """A cron spec in use whose next due time is unknown, or was calculated with other time-zone data."""

    spec: CronSpec
    next_due_at: datetime | None
    active_since: datetime  # the earliest one of its schedules


class Scan(NamedTuple):
    """A scan of all cron specs in use."""

    position: CronSpec  # the cron specs up to this one are done
    # If a notification requested the scan: the time after which its transaction was committed.
    committed_after: datetime | None


class NextRuns:
    """Announced cron specs, and scans of all cron specs."""

    def __init__(self, database: connection, scan_interval: float = SCAN_INTERVAL) -> None:
        """Start with a scan."""
        self._database = database
        self._scan_interval = scan_interval
        self._announced: dict[CronSpec, datetime | None] = {}  # with the time after which each was committed
        self._scan: Scan | None = Scan(START, None)
        self._next_scan: Scan | None = None
        self._scan_has_turn = False  # while both have something to do, announced cron specs and the scan alternate
        self._scanned_at = time.monotonic()

    def on_notify(self, payload: str, committed_after: datetime | None) -> None:
        """Queue the cron specs of a notification, which was committed after this time (None: unknown)."""
        try:
            specs = announced_specs(payload)
        except MalformedNotification as error:
            log.warning("notification dropped, not one of the validation trigger: %s", error)
            return
        if specs is None:
            self._request_scan(committed_after)
        elif len(self._announced) + len(specs) > MAX_ANNOUNCED:
            self._announced.clear()
            self._request_scan(None)
        else:
            for spec in specs:
                self._announced.setdefault(spec, committed_after)

    def scan_again(self) -> None:
        """Request a scan of all cron specs."""
        self._request_scan(None)

    def calculate_some(self, now: datetime) -> bool:
        """Calculate the next due times of one batch; False if there is nothing to do."""
        if self._scan is None and time.monotonic() - self._scanned_at > self._scan_interval:
            self._scan = Scan(START, None)
        if self._announced and not (self._scan and self._scan_has_turn):
            self._scan_has_turn = True
            self._process_announced(now)
            return True
        if self._scan is None:
            return False
        self._scan_has_turn = False
        self._continue_scan(self._scan, now)
        return True

    def _request_scan(self, committed_after: datetime | None) -> None:
        """Request a scan after the current one, which would never end if it were restarted."""
        if self._scan is None:
            self._scan = Scan(START, committed_after)
        elif self._next_scan is None:
            self._next_scan = Scan(START, committed_after)
        elif committed_after is None:
            self._next_scan = Scan(START, None)

    def _process_announced(self, now: datetime) -> None:
        batch = dict(list(self._announced.items())[:BATCH_SIZE])
        for spec in batch:
            del self._announced[spec]
        try:
            self._process(batch, now, announced=True)
        except Exception as error:
            if is_row_error(error):
                self._request_scan(None)  # the table holds no text that PostgreSQL cannot read
            else:
                self._announced = {**batch, **self._announced}
            raise

    def _continue_scan(self, scan: Scan, now: datetime) -> None:
        values = {"cron": scan.position.cron_expression, "zone": scan.position.timezone, "limit": BATCH_SIZE}
        batch = [CronSpec(*row) for row in rows(self._database, SPECS_IN_USE, **values)]
        self._process(dict.fromkeys(batch, scan.committed_after), now, announced=False)
        if len(batch) == BATCH_SIZE:
            self._scan = scan._replace(position=batch[-1])
        else:
            self._scan, self._next_scan = self._next_scan, None
            self._scanned_at = time.monotonic()

    def _process(self, batch: Mapping[CronSpec, datetime | None], now: datetime, *, announced: bool) -> None:
        values = {**spec_columns(list(batch)), "tzdata": TZDATA_VERSION, "announced": announced, "now": now}
        outdated = [
            OutdatedSpec(CronSpec(cron, zone), next_due_at, active_since)
            for cron, zone, next_due_at, active_since in rows(self._database, OUTDATED_SPECS, **values)
        ]
        due_times = [_next_due_time(spec, now, batch[spec.spec]) for spec in outdated]
        if not due_times:
            return
        refused = write_each(self._write, due_times)
        if len(refused) < len(due_times):
            log.info("%s new cron specs", len(due_times) - len(refused))
        for due_time in due_times:
            if due_time.error:
                log.error("%r", due_time.error)
        for due_time, error in refused:
            log.error("PostgreSQL refuses the next due time of %r: %s", due_time.spec, first_line(error))

    def _write(self, due_times: Sequence[NextDueTime]) -> None:
        execute(self._database, SAVE_NEXT_DUE_TIMES, **next_due_columns(due_times), tzdata=TZDATA_VERSION)


def _next_due_time(outdated: OutdatedSpec, now: datetime, committed_after: datetime | None) -> NextDueTime:
    """Return the next due time since the cron spec came into use, which may already have passed.

    A transaction may have been open for long; before its commit, the cron spec was not in use.
    """
    if outdated.next_due_at is None:
        since = outdated.active_since
        if committed_after is not None:
            since = max(since, min(committed_after, now))  # the clock may have been set back in the meantime
        return next_due_time(outdated.spec, since)
    if outdated.next_due_at <= now:
        return NextDueTime(outdated.spec, outdated.next_due_at)  # due by the older data: then it is due
    return next_due_time(outdated.spec, now)
