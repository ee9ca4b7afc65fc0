"""Pairs that came into use get their next moments, in portions, so that an import never delays a minute."""

import json
import logging
import time
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from psycopg2.extensions import connection

from scheduler.pairs import Moment, Pair, columns, moment_columns, next_moment
from scheduler.store import execute, rows
from scheduler.zones import TZDATA_VERSION

log = logging.getLogger(__name__)

PORTION = 500  # pairs at a time: some 20 to 50 ms
FULL_LOOK_EVERY = 300.0  # seconds; finds what a lost NOTIFY would have said
START = Pair("", "")

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
        SELECT min(schedule.active_since) AS active_since FROM public.metrics_executions AS schedule
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

    pair: Pair
    next_due_at: datetime | None
    active_since: datetime  # the earliest of its rows


class NewPairs:
    """What was announced, and how far the looks through all pairs have come."""

    def __init__(self, database: connection) -> None:
        """Begin with a full look."""
        self._database = database
        self._announced: dict[Pair, None] = {}
        self._position: Pair | None = START
        self._kept = START  # up to here, the pairs without rows are deleted
        self._looked = time.monotonic()

    def hear(self, payload: str) -> None:
        """Take in an announcement of the gate (sql/050_gate.sql); an empty one only wakes the scheduler."""
        if not payload:
            return
        try:
            pairs = json.loads(payload)["pairs"]
            if pairs is None:
                self._position = START
            else:
                self._announced.update({Pair(str(cron), str(zone)): None for cron, zone in pairs})
        except (ValueError, KeyError, TypeError):
            log.warning("somebody else notifies our channel: %.80s", payload)

    def settle(self, now: datetime) -> bool:
        """Settle one portion; False if there is nothing to do."""
        if self._announced:
            portion = list(self._announced)[:PORTION]
            self._settle(portion, now, announced=True)
            for pair in portion:
                del self._announced[pair]
            return True
        if self._position is None and time.monotonic() - self._looked > FULL_LOOK_EVERY:
            self._position = START
        if self._position is None:
            return False
        self._settle(self._next_portion(self._position), now, announced=False)
        return True

    def delete_unused(self) -> bool:
        """Delete what no enabled row uses any more from one portion of the pairs; False after the last one.

        Without a lock: a pair that is wanted again at this very moment is
        announced after its commit, and settled then.
        """
        values = {"cron": self._kept.cron_expression, "zone": self._kept.timezone, "limit": PORTION}
        last = rows(self._database, DELETE_UNUSED_PAIRS, **values)
        self._kept = Pair(*last[0]) if last else START
        return bool(last)

    def _next_portion(self, position: Pair) -> list[Pair]:
        values = {"cron": position.cron_expression, "zone": position.timezone, "limit": PORTION}
        portion = [Pair(*row) for row in rows(self._database, PAIRS_IN_USE, **values)]
        if len(portion) == PORTION:
            self._position = portion[-1]
        else:
            self._position = None
            self._looked = time.monotonic()
        return portion

    def _settle(self, pairs: Sequence[Pair], now: datetime, *, announced: bool) -> None:
        values = {**columns(pairs), "tzdata": TZDATA_VERSION, "announced": announced}
        unsettled = [
            Unsettled(Pair(cron, zone), next_due_at, since)
            for cron, zone, next_due_at, since in rows(self._database, UNSETTLED_PAIRS, **values)
        ]
        moments = [_moment(pair, now) for pair in unsettled]
        if moments:
            execute(self._database, SETTLE_PAIRS, **moment_columns(moments), tzdata=TZDATA_VERSION)
            log.info("%s new pairs of cron expression and time zone", len(moments))
        for moment in moments:
            if moment.error:
                log.error("%s", moment.error)


def _moment(unsettled: Unsettled, now: datetime) -> Moment:
    """Return the next moment, counted from when the pair came into use: it may have passed already."""
    if unsettled.next_due_at is None:
        return next_moment(unsettled.pair, unsettled.active_since)
    if unsettled.next_due_at <= now:
        return Moment(unsettled.pair, unsettled.next_due_at)  # due by the old data, and then it is due
    return next_moment(unsettled.pair, now)
