"""Detects data loss in Redis, and publishes the lost messages again.

Every publication gets a time later than the one of all before. PostgreSQL stores it (fires.finished_at), and so does
Redis, beside the messages (the checkpoint): a Redis whose checkpoint is older has lost the messages since.
"""

import logging
from collections import defaultdict
from datetime import datetime

from psycopg2.extensions import connection

from core.cron.spec import CronSpec, next_due_time, spec_columns
from core.timestamps import MICROSECOND
from scheduler.queries import batches, now, rows, snapshot
from scheduler.queue import Queue
from scheduler.settings import Settings

log = logging.getLogger(__name__)

# The log goes back some weeks only; an earlier due time counts as published when it was due.
LAST_SENT_AT = """
    SELECT greatest((SELECT max(finished_at) FROM public.fires), (SELECT max(last_due_at) FROM public.crons))
"""
DUE_TIMES_SENT_SINCE = """
    SELECT due_at FROM public.fires WHERE finished_at > %(since)s AND due_at > %(oldest)s
    UNION
    SELECT cron.last_due_at FROM public.crons AS cron LEFT JOIN public.fires AS fire ON fire.due_at = cron.last_due_at
    WHERE coalesce(fire.finished_at, cron.last_due_at) > %(since)s
"""
LAST_DUE_TIMES = "SELECT cron_expression, timezone, last_due_at FROM public.crons WHERE last_due_at IS NOT NULL"
SPECS_LAST_DUE_AT = "SELECT cron_expression, timezone FROM public.crons WHERE last_due_at = %(due_at)s"
# Due again later, but not those whose last due time Redis still has: they had the earlier one skipped.
SPECS_DUE_LATER = """
    SELECT cron.cron_expression, cron.timezone
    FROM public.crons AS cron LEFT JOIN public.fires AS fire ON fire.due_at = cron.last_due_at
    WHERE cron.last_due_at > %(due_at)s AND coalesce(fire.finished_at, cron.last_due_at) > %(since)s
"""
MODELS_OF_SPECS = """
    SELECT schedule.model_id::text
    FROM unnest(%(crons)s::text[], %(zones)s::text[]) AS spec (cron_expression, timezone)
    JOIN public.metrics_executions AS schedule USING (cron_expression, timezone)
    WHERE schedule.enabled AND schedule.active_since < %(due_at)s
"""


class RedisRecovery:
    """Compares the checkpoint of Redis with the records, and publishes the difference."""

    def __init__(self, database: connection, queue: Queue, settings: Settings) -> None:
        """Read the records; due times older than catch_up are not published again one by one."""
        self._database = database
        self._queue = queue
        self._batch_size = settings.batch_size
        self._catch_up = settings.catch_up
        self._sent_at: datetime | None
        self._lost: dict[datetime, list[CronSpec]]  # due times, with their cron specs as far as these are known yet
        self._since: datetime | None = None  # while due times are lost: the time until which Redis had everything
        self._steps = 0
        self._checkpoint = ""  # the one that Redis should have while due times are lost
        self.reset()

    def reset(self) -> None:
        """Read the records; nothing is known to be lost."""
        self._sent_at = rows(self._database, LAST_SENT_AT)[0][0]
        self._lost = {}

    def detect_loss(self, checkpoint: str) -> bool:
        """Find out what a Redis with this checkpoint has lost; True if there is a new loss."""
        if self._sent_at is None or (self._lost and checkpoint == self._checkpoint):
            return False
        # During a recovery, the checkpoint holds the number of the last step behind a slash.
        self._since = since = _parse_time(checkpoint.partition("/")[0])
        if since is not None and since >= self._sent_at:
            self._lost = {}
            return False
        self._lost = self._lost_since(since)
        self._steps, self._checkpoint = 0, checkpoint
        log.warning(
            "Redis has lost everything published after %s, up to %s: publishing %s due times again",
            since or "the beginning", self._sent_at, len(self._lost),
        )  # fmt: skip
        if not self._lost:
            self._save_checkpoint()
        return True

    def sent(self) -> datetime:
        """Save the checkpoint of a complete publication; return its time."""
        present = now(self._database)
        self._sent_at = present if self._sent_at is None else max(present, self._sent_at + MICROSECOND)
        self._save_checkpoint()
        return self._sent_at

    def send_some(self, queued_at: datetime) -> bool:
        """Publish the latest lost due time again; False if there is none."""
        if not self._lost:
            return False
        due_at = max(self._lost)
        columns = spec_columns(self._specs(due_at))
        with snapshot(self._database):
            models = batches(self._database, MODELS_OF_SPECS, self._batch_size, **columns, due_at=due_at)
            counts = self._queue.send_models(models, due_at, queued_at)
        log.info("published %s again: %s models in %s messages", due_at.isoformat(), counts.models, counts.messages)
        del self._lost[due_at]
        self._save_checkpoint()
        return True

    def _save_checkpoint(self) -> None:
        """Save how far Redis is, so that any loss from now on shows in the checkpoint."""
        assert self._sent_at is not None
        self._steps += 1
        since = self._since.isoformat() if self._since else ""
        self._checkpoint = f"{since}/{self._steps}" if self._lost else self._sent_at.isoformat()
        self._queue.save_checkpoint(self._checkpoint)

    def _lost_since(self, since: datetime | None) -> dict[datetime, list[CronSpec]]:
        """Return the due times published since a time; None: the last one of each cron spec."""
        if since is None:
            last = defaultdict(list)
            for cron, zone, due_at in rows(self._database, LAST_DUE_TIMES):
                last[due_at].append(CronSpec(cron, zone))
            return dict(last)
        oldest = now(self._database) - self._catch_up
        return {due_at: [] for (due_at,) in rows(self._database, DUE_TIMES_SENT_SINCE, since=since, oldest=oldest)}

    def _specs(self, due_at: datetime) -> list[CronSpec]:
        """Return the cron specs of a lost due time; of one at a time, since there may be thousands of both."""
        if self._since is None:
            return self._lost[due_at]
        last = [CronSpec(*row) for row in rows(self._database, SPECS_LAST_DUE_AT, due_at=due_at)]
        later = (CronSpec(*row) for row in rows(self._database, SPECS_DUE_LATER, due_at=due_at, since=self._since))
        return [*last, *(spec for spec in later if next_due_time(spec, due_at - MICROSECOND).next_due_at == due_at)]


def _parse_time(text: str) -> datetime | None:
    """Return the time of a checkpoint; None if it is none: anyone may have written it."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else None
