"""Fires due times: publishes the due models, then moves their cron specs on to the next due times."""

import logging
import time
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg2.extensions import connection

from core.cron.spec import CronSpec, NextDueTime, next_due_columns, next_due_time
from core.cron.time_zones import TZDATA_VERSION
from core.postgres import first_line
from scheduler.queries import batches, execute, snapshot, specs_due_at, write_each
from scheduler.queue import Queue, SentCounts
from scheduler.settings import Settings
from scheduler.tasks.redis_recovery import RedisRecovery

log = logging.getLogger(__name__)

RECORD_BATCH = 500  # cron specs recorded at a time; tens of thousands would take some 20 MiB
REFUSED_RETRY_DELAY = 60.0  # seconds until PostgreSQL is asked again to record a cron spec that it has refused

DUE_MODELS = "SELECT model_id::text FROM public.due_models(%(due_at)s)"

# "cron.next_due_at = due_at": a leader that was stopped and continues late cannot move a cron spec back.
# "greatest": the clock may have been set back between the two times.
RECORD_FIRE = """
    WITH moved AS (
        UPDATE public.crons AS cron
        SET next_due_at = next_due.next_due_at, error = next_due.error, last_due_at = %(due_at)s,
            tzdata_version = %(tzdata)s
        FROM unnest(%(crons)s::text[], %(zones)s::text[], %(next)s::timestamptz[], %(errors)s::text[])
            AS next_due (cron_expression, timezone, next_due_at, error)
        WHERE cron.cron_expression = next_due.cron_expression AND cron.timezone = next_due.timezone
            AND cron.next_due_at = %(due_at)s
    )
    INSERT INTO public.fires AS fire (due_at, fired_at, finished_at, crons, models, messages, leader)
    VALUES (%(due_at)s, %(fired_at)s, greatest(%(fired_at)s, %(finished_at)s), cardinality(%(crons)s::text[]),
            %(models)s, %(messages)s, %(leader)s)
    ON CONFLICT (due_at) DO UPDATE SET
        fired_at = coalesce(fire.fired_at, excluded.fired_at),
        finished_at = greatest(fire.finished_at, excluded.finished_at),
        crons = fire.crons + excluded.crons,
        models = fire.models + excluded.models,
        messages = fire.messages + excluded.messages,
        leader = excluded.leader
"""


@dataclass
class SentFire:
    """A due time whose messages are in Redis, and what is still to be recorded of it."""

    due_at: datetime
    fired_at: datetime
    finished_at: datetime
    counts: SentCounts  # recorded with the next batch of cron specs; zero after the first one
    specs: list[CronSpec]  # not recorded yet
    retried: bool = False
    retry_at: float = 0.0  # by time.monotonic()


class DueRuns:
    """Publishes the runs of due times and records the fires."""

    def __init__(
        self, database: connection, queue: Queue, redis_recovery: RedisRecovery, settings: Settings, leader: str
    ) -> None:
        self._database = database
        self._queue = queue
        self._redis_recovery = redis_recovery
        self._leader = leader
        self._batch_size = settings.batch_size
        self._unrecorded: dict[datetime, SentFire] = {}

    @property
    def unrecorded(self) -> Collection[datetime]:
        """Due times that are published and cannot be recorded: they must not be published again and again."""
        return self._unrecorded

    def fire(self, due_at: datetime, now: datetime) -> bool:
        """Publish the models of a due time; record_sent() has to follow. Returns True."""
        # A snapshot: a cron spec that a user adds while the models are published does not count as published.
        with snapshot(self._database):
            counts = self.send(due_at, now)
            finished_at = self._redis_recovery.sent()
            specs = specs_due_at(self._database, due_at)
        # Recorded last: a crash in between repeats messages, and workers recognise these by (model, due time). The
        # opposite order would lose them.
        self._unrecorded[due_at] = SentFire(due_at, now, finished_at, counts, specs)
        log.info(
            "fired %s: %s models in %s messages, %.0f ms after the due time, within %.0f ms",
            due_at.isoformat(), counts.models, counts.messages, _ms(now - due_at), _ms(finished_at - now),
        )  # fmt: skip
        return True

    def send(self, due_at: datetime, now: datetime) -> SentCounts:
        """Publish the models of a due time, within a snapshot."""
        models = batches(self._database, DUE_MODELS, self._batch_size, due_at=due_at)
        return self._queue.send_models(models, due_at, now)

    def record_sent(self) -> bool:
        """Record what is published; False if there is nothing to record now."""
        waiting = [fire for fire in self._unrecorded.values() if time.monotonic() >= fire.retry_at]
        for fire in waiting:
            if self._is_still_valid(fire):
                self._record(fire)
            else:
                del self._unrecorded[fire.due_at]
        return bool(waiting)

    def reset(self) -> None:
        """Rely on the records alone: nothing else is known to be published."""
        self._unrecorded.clear()

    def _is_still_valid(self, fire: SentFire) -> bool:
        """Return False if further cron specs have become due at that time since; then all of it is published again."""
        if fire.retried:
            with snapshot(self._database):
                due = specs_due_at(self._database, fire.due_at)
            if not set(fire.specs).issuperset(due):
                return False
            fire.specs = due  # the others have moved on, or are no longer in use
        fire.retried = True
        return True

    def _record(self, fire: SentFire) -> None:
        """Move the cron specs of a fire on to their next due times, and record the fire.

        Only a cron spec that PostgreSQL refuses stays unrecorded, to be retried later.
        """

        def write(due_times: Sequence[NextDueTime]) -> None:
            self._write(fire, due_times)
            fire.counts = SentCounts(0, 0)

        remaining, refused = fire.specs, list[CronSpec]()
        try:
            while True:
                due_times = [next_due_time(spec, fire.due_at) for spec in remaining[:RECORD_BATCH]]
                for due_time, error in write_each(write, due_times):
                    log.error("PostgreSQL refuses to record %r: %s", due_time.spec, first_line(error))
                    refused.append(due_time.spec)
                remaining = remaining[RECORD_BATCH:]
                if not remaining:
                    break
        finally:
            fire.specs = refused + remaining
        if refused:
            fire.retry_at = time.monotonic() + REFUSED_RETRY_DELAY
        else:
            del self._unrecorded[fire.due_at]

    def _write(self, fire: SentFire, due_times: Sequence[NextDueTime]) -> None:
        execute(
            self._database,
            RECORD_FIRE,
            due_at=fire.due_at,
            fired_at=fire.fired_at,
            finished_at=fire.finished_at,
            **fire.counts._asdict(),
            **next_due_columns(due_times),
            tzdata=TZDATA_VERSION,
            leader=self._leader,
        )


def _ms(duration: timedelta) -> float:
    return duration / timedelta(milliseconds=1)
