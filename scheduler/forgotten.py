"""What Redis forgot: a Redis that restarted empty, or with an old file, gets its last messages again."""

import logging
from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime

from psycopg2.extensions import connection

from scheduler.broker import Broker
from scheduler.pairs import Pair, columns, next_moment
from scheduler.settings import Settings
from scheduler.store import rows
from worker.postgres import stream

log = logging.getLogger(__name__)

LAST_DUE_AT = "SELECT max(last_due_at) FROM public.crons"
PAIRS_SENT_AFTER = """
    SELECT cron_expression, timezone, last_due_at FROM public.crons
    WHERE last_due_at > %(after)s OR (%(after)s::timestamptz IS NULL AND last_due_at IS NOT NULL)
"""
MODELS_OF_PAIRS = """
    SELECT schedule.model_id::text
    FROM unnest(%(crons)s::text[], %(zones)s::text[]) AS pair (cron_expression, timezone)
    JOIN public.metrics_executions AS schedule USING (cron_expression, timezone)
    WHERE schedule.enabled AND schedule.active_since < %(due_at)s
"""


class Forgotten:
    """Compares what Redis remembers with what PostgreSQL recorded, and sends the difference."""

    def __init__(self, database: connection, broker: Broker, settings: Settings) -> None:
        """Read what was recorded; moments older than catch_up are not sent again one by one."""
        self._database = database
        self._broker = broker
        self._batch_size = settings.batch_size
        self._catch_up = settings.catch_up
        self._recorded: datetime | None = rows(database, LAST_DUE_AT)[0][0]
        self._moments: dict[datetime, list[Pair]] = {}

    def compare(self, published: datetime | None) -> None:
        """Work out which moments are missing from Redis; published is what it remembers."""
        if self._recorded is None or self._moments or (published and published >= self._recorded):
            return
        self._moments = self._missing(published)
        log.warning(
            "Redis remembers %s, not %s: %s moments are sent again",
            published,
            self._recorded,
            len(self._moments),
        )

    def __bool__(self) -> bool:
        """Whether anything is missing."""
        return bool(self._moments)

    def sent(self, due_at: datetime) -> None:
        """Note that the messages of a moment are in Redis."""
        self._recorded = max(due_at, self._recorded or due_at)
        if not self._moments:
            self._broker.remember(self._recorded)

    def send(self, now: datetime) -> bool:
        """Send the newest missing moment again; False if there is none."""
        if not self._moments:
            return False
        due_at = max(self._moments)
        values = {**columns(self._moments[due_at]), "due_at": due_at}
        self._broker.send_models(stream(self._database, MODELS_OF_PAIRS, values, self._batch_size), due_at, now)
        del self._moments[due_at]
        self.sent(due_at)
        return True

    def _missing(self, published: datetime | None) -> dict[datetime, list[Pair]]:
        missing = defaultdict(list)
        for cron, zone, last in rows(self._database, PAIRS_SENT_AFTER, after=published):
            pair = Pair(cron, zone)
            missing[last].append(pair)
            if published is not None:
                for moment in _between(pair, max(published, last - self._catch_up), last):
                    missing[moment].append(pair)
        return dict(missing)


def _between(pair: Pair, after: datetime, before: datetime) -> Iterator[datetime]:
    """Yield the pair's moments strictly between two others."""
    moment = next_moment(pair, after).next_due_at
    while moment is not None and moment < before:
        yield moment
        moment = next_moment(pair, moment).next_due_at
