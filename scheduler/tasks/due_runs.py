"""Firing a moment: its models go into messages, then its pairs move on to their next moments."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from psycopg2.extensions import connection

from core.cron.occurrences import count_fires, last_fire
from core.cron.spec import CronSpec, NextDueTime, next_due_columns, next_due_time, spec_columns
from core.cron.time_zones import TZDATA_VERSION
from core.postgres import first_line
from scheduler.queries import batches, execute, now, rows, snapshot, write_each
from scheduler.queue import Broker, Sent
from scheduler.settings import Settings
from scheduler.tasks.redis_recovery import Forgotten

log = logging.getLogger(__name__)

PORTION = 500  # pairs recorded at a time; tens of thousands would take some 20 MiB
NEVER = datetime.min.replace(tzinfo=UTC)
RETIRED = 1000  # records deleted at a time
REFUSED_PAUSE = 60.0  # seconds until a pair that PostgreSQL refuses to record is tried again

DUE_MODELS = "SELECT model_id::text FROM public.due_models(%(due_at)s)"
PAIRS_DUE_AT = "SELECT cron_expression, timezone FROM public.crons WHERE next_due_at = %(due_at)s"
NEXT_MISSED = """
    SELECT min(next_due_at) FROM public.crons
    WHERE next_due_at > %(after)s AND next_due_at <= %(until)s AND next_due_at <> ALL (%(unrecorded)s::timestamptz[])
"""

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
RETIRE_FIRES = """
    WITH retired AS (
        DELETE FROM public.fires WHERE due_at IN (
            SELECT due_at FROM public.fires
            WHERE due_at < %(before)s OR due_at > %(after)s ORDER BY due_at LIMIT %(limit)s)
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
# Sent while the clock was ahead, for a moment that has come by now.
CORRECT_FIRES = """
    UPDATE public.fires SET fired_at = least(fired_at, %(now)s), finished_at = least(finished_at, %(now)s)
    WHERE finished_at > %(now)s
"""


class Skip(NamedTuple):
    """Moments of a pair that are not sent, counted at the one that stands in for them."""

    pair: CronSpec
    next_due_at: datetime
    stand_in: datetime
    skipped: int


@dataclass
class SentFire:
    """A due time whose messages are in Redis, and what is left to record of it."""

    due_at: datetime
    began: datetime
    ended: datetime
    counted: Sent  # added to the log with the next portion; nothing is left after the first one
    pairs: list[CronSpec]  # not recorded yet
    retried: bool = False
    retry_at: float = 0.0  # by time.monotonic()


class Fires:
    """Sends moments and records them."""

    def __init__(
        self, database: connection, broker: Broker, forgotten: Forgotten, settings: Settings, leader: str
    ) -> None:
        """Send through the broker, and sign the records with the leader's name."""
        self._database = database
        self._broker = broker
        self._forgotten = forgotten
        self._leader = leader
        self._batch_size = settings.batch_size
        self._catch_up = settings.catch_up
        self._retention = settings.fires_retention
        self._folded = NEVER
        self._unrecorded: dict[datetime, SentFire] = {}

    @property
    def unrecorded(self) -> Collection[datetime]:
        """The due times that are sent and cannot be recorded: they must not be sent again and again."""
        return self._unrecorded

    def fire(self, due_at: datetime, now: datetime) -> bool:
        """Send the models due at a moment; record_sent() has to follow."""
        # A snapshot: a pair that a user adds while the models are sent is not taken for sent.
        with snapshot(self._database):
            sent = self.send(due_at, now)
            ended = self._forgotten.sent()
            pairs = self.pairs(due_at)
        # Recorded last: a crash in between repeats messages, and the workers know a repeated one by (model, moment).
        # The other order would lose them.
        self._unrecorded[due_at] = SentFire(due_at, now, ended, sent, pairs)
        log.info(
            "fired %s: %s models in %s messages, %.0f ms after the moment, within %.0f ms",
            due_at.isoformat(), sent.models, sent.messages, _ms(now - due_at), _ms(ended - now),
        )  # fmt: skip
        return True

    def record_sent(self) -> bool:
        """Record what is sent; False if there is nothing to record now."""
        waiting = [fire for fire in self._unrecorded.values() if time.monotonic() >= fire.retry_at]
        for fire in waiting:
            if self._is_still_sent(fire):
                self._record(fire)
            else:
                del self._unrecorded[fire.due_at]
        return bool(waiting)

    def _is_still_sent(self, fire: SentFire) -> bool:
        """Return False where pairs have come to be due at that time after it was sent; then all of it is sent again."""
        if fire.retried:
            with snapshot(self._database):
                due = self.pairs(fire.due_at)
            if not set(fire.pairs).issuperset(due):
                return False
            fire.pairs = due  # the others have moved on, or are not in use any more
        fire.retried = True
        return True

    def pairs(self, due_at: datetime) -> list[CronSpec]:
        """Return the pairs that are due at a moment, within a snapshot."""
        zones: dict[str, str] = {}  # there are few, and each pair comes with a copy of its own
        with self._database.cursor(name="pairs") as cursor:
            cursor.execute(PAIRS_DUE_AT, {"due_at": due_at})
            return [CronSpec(cron, zones.setdefault(zone, zone)) for cron, zone in cursor]

    def send(self, due_at: datetime, now: datetime) -> Sent:
        """Send the models due at a moment."""
        models = batches(self._database, DUE_MODELS, self._batch_size, due_at=due_at)
        return self._broker.send_models(models, due_at, now)

    def _record(self, fire: SentFire) -> None:
        """Move the pairs of a fire on to their next moments, and write the log.

        A pair that PostgreSQL refuses stays, alone, and is tried again later.
        """

        def write(moments: Sequence[NextDueTime]) -> None:
            self._write(fire, moments)
            fire.counted = Sent(0, 0)

        left, refused = fire.pairs, list[CronSpec]()
        try:
            while True:
                moments = [next_due_time(pair, fire.due_at) for pair in left[:PORTION]]
                for moment, error in write_each(write, moments):
                    log.error("PostgreSQL refuses to record %r: %s", moment.spec, first_line(error))
                    refused.append(moment.spec)
                left = left[PORTION:]
                if not left:
                    break
        finally:
            fire.pairs = refused + left
        if refused:
            fire.retry_at = time.monotonic() + REFUSED_PAUSE
        else:
            del self._unrecorded[fire.due_at]

    def _write(self, fire: SentFire, moments: Sequence[NextDueTime]) -> None:
        """Record a portion of a fire's pairs, with their next moments."""
        execute(
            self._database,
            RECORD_FIRE,
            due_at=fire.due_at,
            fired_at=fire.began,
            finished_at=fire.ended,
            **fire.counted._asdict(),
            **next_due_columns(moments),
            tzdata=TZDATA_VERSION,
            leader=self._leader,
        )

    def fold(self, until: datetime, now: datetime) -> bool:
        """Skip what later moments stand in for, at the next moment missed until then; False if there is none.

        Called before anything missed is sent, so that the newest moments of all pairs go first.
        """
        missed: datetime | None = rows(
            self._database, NEXT_MISSED, after=self._folded, until=until, unrecorded=list(self._unrecorded)
        )[0][0]
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

        def write(portion: Sequence[Skip]) -> None:
            execute(
                self._database,
                RECORD_SKIPPED,
                **spec_columns([skip.pair for skip in portion]),
                next=[skip.next_due_at for skip in portion],
                stand_in=[skip.stand_in for skip in portion],
                skipped=[skip.skipped for skip in portion],
                due_at=due_at,
                leader=self._leader,
            )

        refused = write_each(write, skips)
        for skip, error in refused:
            log.error("PostgreSQL refuses to record %r as skipped: %s", skip.pair, first_line(error))
        total = sum(skip.skipped for skip in skips) - sum(skip.skipped for skip, _ in refused)
        log.warning("skipped %s moments of %s pairs due since %s", total, len(skips) - len(refused), due_at.isoformat())
        return len(refused) < len(skips)

    def reset(self) -> None:
        """Rely on what is recorded alone: only that is known to be sent."""
        self._unrecorded.clear()
        self._folded = NEVER

    def retire_old(self) -> bool:
        """Delete some of the records that are too old, and keep their sums; the rest has time until the next turn."""
        before = now(self._database) - self._retention
        execute(self._database, RETIRE_FIRES, before=before, after="infinity", limit=RETIRED)
        return False

    def recover_clock(self, present: datetime) -> None:
        """Rely on what is recorded, and is not ahead of the clock, which has come back; the sums stay."""
        self.reset()
        execute(self._database, RETIRE_FIRES, before="-infinity", after=present, limit=None)
        execute(self._database, CORRECT_FIRES, now=present)


def _skip(pair: CronSpec, due_at: datetime, now: datetime, catch_up: timedelta) -> Skip | None:
    try:
        latest = max(last_fire(pair.cron_expression, pair.timezone, now), due_at)  # by older data it is due, then it is
        skipped = count_fires(pair.cron_expression, pair.timezone, due_at, latest)
    except Exception:  # a text that no trigger has checked: it is sent once more, and next_due_time says what is wrong
        return None
    if latest < now - catch_up:
        following = next_due_time(pair, now).next_due_at
        return Skip(pair, following, latest, skipped + 1) if following else None
    return Skip(pair, latest, latest, skipped) if latest > due_at else None


def _ms(duration: timedelta) -> float:
    return duration / timedelta(milliseconds=1)
