"""What Redis forgot: a Redis that restarted empty, or with an old file, gets its last messages again.

Whatever is sent gets a time, later than that of everything before. PostgreSQL keeps it
(fires.finished_at), and Redis beside the messages (the marker): a Redis whose marker is
older has lost the messages since.
"""

import logging
from collections import defaultdict
from datetime import datetime, timedelta

from psycopg2.extensions import connection

from core.cron.spec import CronSpec, next_due_time, spec_columns
from scheduler.queries import batches, now, rows, snapshot
from scheduler.queue import Broker
from scheduler.settings import Settings

log = logging.getLogger(__name__)

TICK = timedelta(microseconds=1)

# The log goes back for some weeks only; a moment of before is taken for sent when it was due.
LAST_SENT_AT = """
    SELECT greatest((SELECT max(finished_at) FROM public.fires), (SELECT max(last_due_at) FROM public.crons))
"""
MOMENTS_SENT_SINCE = """
    SELECT due_at FROM public.fires WHERE finished_at > %(since)s AND due_at > %(oldest)s
    UNION
    SELECT cron.last_due_at FROM public.crons AS cron LEFT JOIN public.fires AS fire ON fire.due_at = cron.last_due_at
    WHERE coalesce(fire.finished_at, cron.last_due_at) > %(since)s
"""
LAST_MOMENTS = "SELECT cron_expression, timezone, last_due_at FROM public.crons WHERE last_due_at IS NOT NULL"
PAIRS_SENT_LAST_AT = "SELECT cron_expression, timezone FROM public.crons WHERE last_due_at = %(due_at)s"
# Of later moments, but not those of which Redis has the last one: they had that earlier moment skipped.
PAIRS_SENT_LATER = """
    SELECT cron.cron_expression, cron.timezone
    FROM public.crons AS cron LEFT JOIN public.fires AS fire ON fire.due_at = cron.last_due_at
    WHERE cron.last_due_at > %(due_at)s AND coalesce(fire.finished_at, cron.last_due_at) > %(since)s
"""
MODELS_OF_PAIRS = """
    SELECT schedule.model_id::text
    FROM unnest(%(crons)s::text[], %(zones)s::text[]) AS pair (cron_expression, timezone)
    JOIN public.metrics_executions AS schedule USING (cron_expression, timezone)
    WHERE schedule.enabled AND schedule.active_since < %(due_at)s
"""


class Forgotten:
    """Compares what Redis remembers with what was sent, and sends the difference."""

    def __init__(self, database: connection, broker: Broker, settings: Settings) -> None:
        """Read what was recorded; moments older than catch_up are not sent again one by one."""
        self._database = database
        self._broker = broker
        self._batch_size = settings.batch_size
        self._catch_up = settings.catch_up
        self._sent_at: datetime | None
        self._moments: dict[datetime, list[CronSpec]]  # with their pairs, as far as these are known yet
        self._since: datetime | None = None  # while moments are missing: the time up to which Redis had everything
        self._steps = 0
        self._marker = ""  # what Redis should remember then
        self.reset()

    def reset(self) -> None:
        """Read what was recorded; nothing is known to be missing."""
        self._sent_at = rows(self._database, LAST_SENT_AT)[0][0]
        self._moments = {}

    def compare(self, marker: str) -> bool:
        """Work out what is missing from Redis, which remembers this marker; whether it has lost something just now."""
        if self._sent_at is None or (self._moments and marker == self._marker):
            return False
        # While a part is missing, the marker has the number of the step that was taken last behind a slash.
        self._since = since = _time(marker.partition("/")[0])
        if since is not None and since >= self._sent_at:
            self._moments = {}
            return False
        self._moments = self._missing(since)
        self._steps, self._marker = 0, marker
        log.warning(
            "Redis has nothing of what was sent after %s, up to %s: %s moments are sent again",
            since or "the beginning", self._sent_at, len(self._moments),
        )  # fmt: skip
        if not self._moments:
            self._remember()
        return True

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self._moments)

    def sent(self) -> datetime:
        """Note that all messages of a moment are in Redis; the answer is when the last of them was sent."""
        present = now(self._database)
        self._sent_at = present if self._sent_at is None else max(present, self._sent_at + TICK)
        self._remember()
        return self._sent_at

    def send(self, queued_at: datetime) -> bool:
        """Send the newest missing moment again; False if there is none."""
        if not self._moments:
            return False
        due_at = max(self._moments)
        pairs = spec_columns(self._pairs(due_at))
        with snapshot(self._database):
            models = batches(self._database, MODELS_OF_PAIRS, self._batch_size, **pairs, due_at=due_at)
            sent = self._broker.send_models(models, due_at, queued_at)
        log.info("sent %s again: %s models in %s messages", due_at.isoformat(), sent.models, sent.messages)
        del self._moments[due_at]
        self._remember()
        return True

    def _remember(self) -> None:
        """Let the marker say how far Redis is, such that a loss from here on shows in it."""
        assert self._sent_at is not None
        self._steps += 1
        since = self._since.isoformat() if self._since else ""
        self._marker = f"{since}/{self._steps}" if self._moments else self._sent_at.isoformat()
        self._broker.remember(self._marker)

    def _missing(self, since: datetime | None) -> dict[datetime, list[CronSpec]]:
        """Return the moments that were sent since a time, or the last one of each pair, before a later one is sent."""
        if since is None:
            last = defaultdict(list)
            for cron, zone, due_at in rows(self._database, LAST_MOMENTS):
                last[due_at].append(CronSpec(cron, zone))
            return dict(last)
        oldest = now(self._database) - self._catch_up
        return {due_at: [] for (due_at,) in rows(self._database, MOMENTS_SENT_SINCE, since=since, oldest=oldest)}

    def _pairs(self, due_at: datetime) -> list[CronSpec]:
        """Return the pairs that were sent at a moment; one moment at a time, since there may be thousands of both."""
        if self._since is None:
            return self._moments[due_at]
        last = [CronSpec(*row) for row in rows(self._database, PAIRS_SENT_LAST_AT, due_at=due_at)]
        later = (CronSpec(*row) for row in rows(self._database, PAIRS_SENT_LATER, due_at=due_at, since=self._since))
        return [*last, *(pair for pair in later if next_due_time(pair, due_at - TICK).next_due_at == due_at)]


def _time(text: str) -> datetime | None:
    """Return the time of a marker; None where it says none, whoever wrote it."""
    try:
        instant = datetime.fromisoformat(text)
    except ValueError:
        return None
    return instant if instant.tzinfo else None
