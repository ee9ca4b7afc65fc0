"""Pairs that came into use get their next moments, in portions, so that an import never delays a minute."""

import json
import logging
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from psycopg2.extensions import connection

from core.cron.spec import CronSpec, NextDueTime, next_due_columns, next_due_time, spec_columns
from core.cron.time_zones import TZDATA_VERSION
from core.postgres import first_line
from scheduler.queries import execute, may_be_of_a_row, rows, write_each

log = logging.getLogger(__name__)

PORTION = 500  # pairs at a time: some 20 to 50 ms
MAX_ANNOUNCED = 20_000  # pairs in memory; more of them are found by a walk through the table
FULL_LOOK_EVERY = 300.0  # seconds; finds what a lost NOTIFY would have said
LOGGED = 80  # characters of a notification that cannot be read
START = CronSpec("", "")

# A loose index scan: from each pair straight to the next one, however many rows share it.
PAIRS_IN_USE = """
    WITH RECURSIVE pair AS (
        (SELECT cron_expression, timezone FROM public.metrics_executions
         WHERE enabled AND (cron_expression, timezone) > (%(cron)s, %(zone)s)
         ORDER BY cron_expression, timezone LIMIT 1)
        UNION ALL
        SELECT following.cron_expression, following.timezone
        FROM pair CROSS JOIN LATERAL (
            SELECT schedule.cron_expression, schedule.timezone FROM public.metrics_executions AS schedule
            WHERE schedule.enabled
                AND (schedule.cron_expression, schedule.timezone) > (pair.cron_expression, pair.timezone)
            ORDER BY schedule.cron_expression, schedule.timezone LIMIT 1
        ) AS following
    )
    SELECT cron_expression, timezone FROM pair LIMIT %(limit)s
"""
# Materialized: a million rows may share a pair, and are counted through only for one that is not settled. Its row of
# crons is looked up (LIMIT): just after an import, the planner would rather read the whole table for each portion.
UNSETTLED_PAIRS = """
    WITH unsettled AS MATERIALIZED (
        SELECT pair.cron_expression, pair.timezone, cron.next_due_at
        FROM unnest(%(crons)s::text[], %(zones)s::text[]) AS pair (cron_expression, timezone)
        LEFT JOIN LATERAL (
            SELECT known.* FROM public.crons AS known
            WHERE known.cron_expression = pair.cron_expression AND known.timezone = pair.timezone LIMIT 1
        ) AS cron ON true
        WHERE cron.cron_expression IS NULL OR cron.tzdata_version <> %(tzdata)s
            OR (%(announced)s AND cron.error IS NOT NULL)
    )
    SELECT unsettled.cron_expression, unsettled.timezone, unsettled.next_due_at, since.active_since
    FROM unsettled
    CROSS JOIN LATERAL (
        -- A time that no clock of ours has written, past the triggers, must not date the others of its pair.
        SELECT min(CASE WHEN schedule.active_since BETWEEN '1971-01-01' AND %(now)s + interval '1 minute'
                        THEN schedule.active_since ELSE %(now)s END) AS active_since
        FROM public.metrics_executions AS schedule
        WHERE schedule.enabled AND schedule.cron_expression = unsettled.cron_expression
            AND schedule.timezone = unsettled.timezone
    ) AS since
    WHERE since.active_since IS NOT NULL
"""
SETTLE_PAIRS = """
    INSERT INTO public.crons AS cron (cron_expression, timezone, next_due_at, error, tzdata_version)
    SELECT cron_expression, timezone, next_due_at, error, %(tzdata)s
    FROM unnest(%(crons)s::text[], %(zones)s::text[], %(next)s::timestamptz[], %(errors)s::text[])
        AS settled (cron_expression, timezone, next_due_at, error)
    ON CONFLICT (cron_expression, timezone) DO UPDATE SET
        next_due_at = excluded.next_due_at, error = excluded.error, tzdata_version = excluded.tzdata_version
"""
# The answer is where to go on; none where the portion was the last one.
DELETE_UNUSED_PAIRS = """
    WITH portion AS MATERIALIZED (
        SELECT cron_expression, timezone FROM public.crons
        WHERE (cron_expression, timezone) > (%(cron)s, %(zone)s)
        ORDER BY cron_expression, timezone LIMIT %(limit)s
    ), deleted AS (
        DELETE FROM public.crons AS cron USING portion
        WHERE (cron.cron_expression, cron.timezone) = (portion.cron_expression, portion.timezone)
            AND NOT EXISTS (
                SELECT FROM public.metrics_executions AS schedule
                WHERE schedule.enabled AND schedule.cron_expression = portion.cron_expression
                    AND schedule.timezone = portion.timezone)
    )
    SELECT cron_expression, timezone FROM portion
    ORDER BY cron_expression, timezone LIMIT 1 OFFSET %(limit)s - 1
"""


class Unsettled(NamedTuple):
    """A pair in use whose next moment is not known, or was worked out with other time-zone data."""

    pair: CronSpec
    next_due_at: datetime | None
    active_since: datetime  # the earliest of its rows


class Walk(NamedTuple):
    """A walk through all pairs in use."""

    position: CronSpec  # the pairs up to here are done
    # Where an announcement asked for it, the time after which that was committed.
    committed_after: datetime | None


class NewPairs:
    """Announced pairs, and the position of the walk through all pairs."""

    def __init__(self, database: connection) -> None:
        """Begin with a walk through all pairs."""
        self._database = database
        self._announced: dict[CronSpec, datetime | None] = {}  # with the time after which each was committed
        self._walk: Walk | None = Walk(START, None)
        self._next_walk: Walk | None = None
        self._walks_next = False  # while there are both, announced pairs and the walk take turns
        self._kept = START  # up to here, the pairs without rows are deleted
        self._looked = time.monotonic()

    def hear(self, payload: str, committed_after: datetime | None) -> None:
        """Read an announcement of the gate (sql/050_gate.sql); an empty one only wakes the scheduler.

        It was committed after the time that is given; None where the announcement says nothing about that.
        Whatever else any role puts into the channel is dropped.
        """
        if not payload:
            return
        try:
            pairs = _announced_pairs(payload)
        except (ValueError, KeyError, TypeError, RecursionError):
            log.warning("notification dropped, not one of the validation trigger: %r", payload[:LOGGED])
            return
        if pairs is None:
            self._request_walk(committed_after)
        elif len(self._announced) + len(pairs) > MAX_ANNOUNCED:
            self._announced.clear()
            self._request_walk(None)
        else:
            for pair in pairs:
                self._announced.setdefault(pair, committed_after)

    def walk_again(self) -> None:
        """Look through all pairs, also those that are settled by now."""
        self._request_walk(None)

    def settle(self, now: datetime) -> bool:
        """Settle one portion; False if there is nothing to do."""
        if self._walk is None and time.monotonic() - self._looked > FULL_LOOK_EVERY:
            self._walk = Walk(START, None)
        if self._announced and not (self._walk and self._walks_next):
            self._walks_next = True
            self._settle_announced(now)
            return True
        if self._walk is None:
            return False
        self._walks_next = False
        self._settle_walked(self._walk, now)
        return True

    def delete_unused(self) -> bool:
        """Delete what no enabled row uses any more from one portion of the pairs; False after the last one.

        Without a lock: a pair that is wanted again at this very moment is
        announced after its commit, and settled then.
        """
        values = {"cron": self._kept.cron_expression, "zone": self._kept.timezone, "limit": PORTION}
        last = rows(self._database, DELETE_UNUSED_PAIRS, **values)
        self._kept = CronSpec(*last[0]) if last else START
        return bool(last)

    def _request_walk(self, committed_after: datetime | None) -> None:
        """Walk through all pairs; after the walk that is on its way, which would never end if it began again."""
        if self._walk is None:
            self._walk = Walk(START, committed_after)
        elif self._next_walk is None:
            self._next_walk = Walk(START, committed_after)
        elif committed_after is None:
            self._next_walk = Walk(START, None)

    def _settle_announced(self, now: datetime) -> None:
        portion = list(self._announced.items())[:PORTION]
        for pair, _ in portion:
            del self._announced[pair]
        try:
            self._settle([pair for pair, _ in portion], now, dict(portion), announced=True)
        except Exception as error:
            if may_be_of_a_row(error):
                self._request_walk(None)  # the table has no text that PostgreSQL cannot read
            else:
                self._announced = {**dict(portion), **self._announced}
            raise

    def _settle_walked(self, walk: Walk, now: datetime) -> None:
        values = {"cron": walk.position.cron_expression, "zone": walk.position.timezone, "limit": PORTION}
        portion = [CronSpec(*row) for row in rows(self._database, PAIRS_IN_USE, **values)]
        self._settle(portion, now, dict.fromkeys(portion, walk.committed_after), announced=False)
        if len(portion) == PORTION:
            self._walk = walk._replace(position=portion[-1])
        else:
            self._walk, self._next_walk = self._next_walk, None
            self._looked = time.monotonic()

    def _settle(
        self,
        pairs: Sequence[CronSpec],
        now: datetime,
        committed_after: dict[CronSpec, datetime | None],
        *,
        announced: bool,
    ) -> None:
        values = {**spec_columns(pairs), "tzdata": TZDATA_VERSION, "announced": announced, "now": now}
        unsettled = [
            Unsettled(CronSpec(cron, zone), next_due_at, since)
            for cron, zone, next_due_at, since in rows(self._database, UNSETTLED_PAIRS, **values)
        ]
        moments = [_moment(pair, now, committed_after[pair.pair]) for pair in unsettled]
        if not moments:
            return
        refused = write_each(self._write, moments)
        if len(refused) < len(moments):
            log.info("%s new pairs of cron expression and time zone", len(moments) - len(refused))
        for moment in moments:
            if moment.error:
                log.error("%r", moment.error)
        for moment, error in refused:
            log.error("PostgreSQL refuses the next due time of %r: %s", moment.spec, first_line(error))

    def _write(self, moments: Sequence[NextDueTime]) -> None:
        execute(self._database, SETTLE_PAIRS, **next_due_columns(moments), tzdata=TZDATA_VERSION)


def _announced_pairs(payload: str) -> list[CronSpec] | None:
    """Return the pairs of an announcement; None for more than it could name. Raises for anything else."""
    pairs: Iterable[Any] | None = json.loads(payload)["pairs"]
    return None if pairs is None else [CronSpec(_text(cron), _text(zone)) for cron, zone in pairs]


def _text(value: Any) -> str:
    """Return a text that PostgreSQL can store. Raises ValueError."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    value.encode()  # not half of a surrogate pair
    return value


def _moment(unsettled: Unsettled, now: datetime, committed_after: datetime | None) -> NextDueTime:
    """Return the next moment, counted from when the pair came into use: it may have passed already.

    A transaction may have been open for long; before its commit, the pair was not in use.
    """
    if unsettled.next_due_at is None:
        since = unsettled.active_since
        if committed_after is not None:
            since = max(since, min(committed_after, now))  # the clock may have come back meanwhile
        return next_due_time(unsettled.pair, since)
    if unsettled.next_due_at <= now:
        return NextDueTime(unsettled.pair, unsettled.next_due_at)  # due by the old data, and then it is due
    return next_due_time(unsettled.pair, now)
