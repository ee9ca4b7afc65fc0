"""Firing a moment: its models go into messages, then its pairs move on to their next moments."""

import logging
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from psycopg2.extensions import connection

from scheduler.broker import Broker, Sent
from scheduler.cron import InvalidCron, InvalidTimeZone, count_fires, last_fire
from scheduler.pairs import Pair, columns, moment_columns, next_moment
from scheduler.settings import Settings
from scheduler.store import batches, execute, rows, snapshot
from scheduler.zones import TZDATA_VERSION

log = logging.getLogger(__name__)

PORTION = 500  # pairs recorded at a time; tens of thousands would take some 20 MiB

DUE_MODELS = "SELECT model_id::text FROM public.due_models(%(due_at)s)"
PAIRS_DUE_AT = "SELECT cron_expression, timezone FROM public.crons WHERE next_due_at = %(due_at)s"
NEXT_MISSED = "SELECT min(next_due_at) FROM public.crons WHERE next_due_at > %(after)s AND next_due_at <= %(until)s"

# "WHERE next_due_at = due_at": a leader that was stopped and wakes up late cannot turn a pair back.
RECORD_FIRE = """
    WITH moved AS (
        UPDATE public.crons AS cron
        SET next_due_at = moment.next_due_at, error = moment.error, last_due_at = %(due_at)s,
            tzdata_version = %(tzdata)s
        FROM unnest(%(crons)s::text[], %(zones)s::text[], %(next)s::timestamptz[], %(errors)s::text[])
            AS moment (cron_expression, timezone, next_due_at, error)
        WHERE cron.cron_expression = moment.cron_expression AND cron.timezone = moment.timezone
            AND cron.next_due_at = %(due_at)s
    )
    INSERT INTO public.fires AS fire (due_at, fired_at, finished_at, crons, models, messages, leader)
    VALUES (%(due_at)s, %(fired_at)s, %(finished_at)s, cardinality(%(crons)s::text[]), %(models)s,
            %(messages)s, %(leader)s)
    ON CONFLICT (due_at) DO UPDATE SET
        fired_at = coalesce(fire.fired_at, excluded.fired_at),
        finished_at = greatest(fire.finished_at, excluded.finished_at),
        crons = fire.crons + excluded.crons,
        models = fire.models + excluded.models,
        messages = fire.messages + excluded.messages,
        leader = excluded.leader
"""
RECORD_SKIPPED = """
    WITH moment AS (
        SELECT * FROM unnest(
            %(crons)s::text[], %(zones)s::text[], %(next)s::timestamptz[], %(stand_in)s::timestamptz[],
            %(skipped)s::bigint[])
            AS moment (cron_expression, timezone, next_due_at, stand_in, skipped)
    ), moved AS (
        UPDATE public.crons AS cron SET next_due_at = moment.next_due_at FROM moment
        WHERE cron.cron_expression = moment.cron_expression AND cron.timezone = moment.timezone
            AND cron.next_due_at = %(due_at)s
        RETURNING moment.stand_in, moment.skipped
    )
    INSERT INTO public.fires AS fire (due_at, skipped, leader)
    SELECT stand_in, sum(skipped), %(leader)s FROM moved GROUP BY stand_in
    ON CONFLICT (due_at) DO UPDATE SET skipped = fire.skipped + excluded.skipped, leader = excluded.leader
"""
# One statement: what is deleted and what is added to the totals are the same rows, whoever looks in between.
RETIRE_OLD_FIRES = """
    WITH retired AS (
        DELETE FROM public.fires WHERE due_at IN (
            SELECT due_at FROM public.fires
            WHERE due_at < public.schedule_now() - %(retention)s ORDER BY due_at LIMIT 1000)
        RETURNING fired_at, models, messages, skipped
    )
    UPDATE public.retired_fires AS total SET
        fires = total.fires + added.fires,
        models = total.models + added.models,
        messages = total.messages + added.messages,
        skipped = total.skipped + added.skipped
    FROM (
        SELECT count(fired_at) AS fires, sum(models) AS models, sum(messages) AS messages, sum(skipped) AS skipped
        FROM retired HAVING count(*) > 0
    ) AS added
"""


class Skip(NamedTuple):
    """Moments of a pair that are not sent, counted at the one that stands in for them."""

    pair: Pair
    next_due_at: datetime
    stand_in: datetime
    skipped: int


class Fires:
    """Sends moments and records them."""

    def __init__(self, database: connection, broker: Broker, settings: Settings, leader: str) -> None:
        """Send through the broker, and sign the records with the leader's name."""
        self._database = database
        self._broker = broker
        self._leader = leader
        self._batch_size = settings.batch_size
        self._catch_up = settings.catch_up
        self._retention = settings.fires_retention
        self._folded = datetime.min.replace(tzinfo=UTC)

    def pairs(self, due_at: datetime) -> list[Pair]:
        """Return the pairs that are due at a moment, within a snapshot."""
        zones: dict[str, str] = {}  # there are few, and each pair comes with a copy of its own
        with self._database.cursor(name="pairs") as cursor:
            cursor.execute(PAIRS_DUE_AT, {"due_at": due_at})
            return [Pair(cron, zones.setdefault(zone, zone)) for cron, zone in cursor]

    def send(self, due_at: datetime, now: datetime) -> Sent:
        """Send the models due at a moment."""
        models = batches(self._database, DUE_MODELS, self._batch_size, due_at=due_at)
        return self._broker.send_models(models, due_at, now)

    def record(self, due_at: datetime, pairs: Sequence[Pair], sent: Sent, began: datetime, ended: datetime) -> None:
        """Move the pairs on to their next moments, and write the log; sending took from began to ended."""
        counted = sent  # with the first portion
        for start in range(0, max(1, len(pairs)), PORTION):
            moments = [next_moment(pair, due_at) for pair in pairs[start : start + PORTION]]
            execute(
                self._database,
                RECORD_FIRE,
                due_at=due_at,
                fired_at=began,
                finished_at=ended,
                **counted._asdict(),
                **moment_columns(moments),
                tzdata=TZDATA_VERSION,
                leader=self._leader,
            )
            counted = Sent(0, 0)
        log.info(
            "fired %s: %s models in %s messages, %.0f ms after the moment, within %.0f ms",
            due_at.isoformat(), sent.models, sent.messages, _ms(began - due_at), _ms(ended - began),
        )  # fmt: skip

    def fold(self, until: datetime, now: datetime) -> bool:
        """Skip what later moments stand in for, at the next moment missed until then; False if there is none.

        Called before anything missed is sent, so that the newest moments of all pairs go first.
        """
        missed: datetime | None = rows(self._database, NEXT_MISSED, after=self._folded, until=until)[0][0]
        if missed is None:
            return False
        self._folded = missed
        self.skip(missed, now)
        return True

    def skip(self, due_at: datetime, now: datetime) -> bool:
        """Move pairs that missed later moments as well on to the latest of them; False if there are none.

        Where even that one is older than catch_up, it is skipped too.
        """
        with snapshot(self._database):
            pairs = self.pairs(due_at)
        skips = [skip for pair in pairs if (skip := _skip(pair, due_at, now, self._catch_up))]
        if not skips:
            return False
        skipped = [skip.skipped for skip in skips]
        execute(
            self._database,
            RECORD_SKIPPED,
            **columns([skip.pair for skip in skips]),
            next=[skip.next_due_at for skip in skips],
            stand_in=[skip.stand_in for skip in skips],
            skipped=skipped,
            due_at=due_at,
            leader=self._leader,
        )
        log.warning("skipped %s moments of %s pairs due since %s", sum(skipped), len(skips), due_at.isoformat())
        return True

    def retire_old(self) -> None:
        """Delete some of the records that are too old, and keep their sums."""
        execute(self._database, RETIRE_OLD_FIRES, retention=self._retention)


def _skip(pair: Pair, due_at: datetime, now: datetime, catch_up: timedelta) -> Skip | None:
    try:
        latest = last_fire(pair.cron_expression, pair.timezone, now)
    except (InvalidCron, InvalidTimeZone):
        return None  # an older version took it: it is sent once more, and next_moment says what is wrong
    latest = max(latest, due_at)  # newer time-zone data may say otherwise, but what is due is due
    skipped = count_fires(pair.cron_expression, pair.timezone, due_at, latest)
    if latest < now - catch_up:
        following = next_moment(pair, now).next_due_at
        return Skip(pair, following, latest, skipped + 1) if following else None
    return Skip(pair, latest, latest, skipped) if latest > due_at else None


def _ms(duration: timedelta) -> float:
    return duration / timedelta(milliseconds=1)
