"""Reads PostgreSQL and Redis for Prometheus, at the moment when it asks."""

import logging
import time
from collections.abc import Iterator

import psycopg2
import redis
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg2.extensions import cursor

from api.backends import backends
from api.status import metric_families, snapshot
from api.status.metric_families import PREFIX, Fires, Schedules

log = logging.getLogger(__name__)

COUNT_EVERY = 60.0  # seconds; to count a million schedules takes longer than all the rest

FIRES = """
    SELECT retired.fires + log.fires, retired.models + log.models, retired.messages + log.messages,
        retired.skipped + log.skipped
    FROM public.retired_fires AS retired, (
        SELECT count(fired_at) AS fires, coalesce(sum(models), 0)::bigint AS models,
            coalesce(sum(messages), 0)::bigint AS messages, coalesce(sum(skipped), 0)::bigint AS skipped
        FROM public.fires) AS log
"""
# By schedule.model_id, which has an index, not by the text of the same name.
MODELS = """
    SELECT schedule.model_id::text, coalesce(schedule.name, '')
    FROM public.metrics_executions AS schedule ORDER BY schedule.model_id LIMIT %(limit)s
"""
SCHEDULES = """
    SELECT count(*) FILTER (WHERE enabled), count(*) FILTER (WHERE NOT enabled) FROM public.metrics_executions
"""


class SystemCollector(Collector):
    """Asks the needs_backends of the application that handles the request."""

    def __init__(self, most_models: int) -> None:
        """Show the quality of so many models, the first ones by model_id: each is three series."""
        self._most_models = most_models
        self._schedules: Schedules | None = None
        self._count_again_at = 0.0  # by time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Yield what can be read: a server that is away costs its own metrics."""
        up = GaugeMetricFamily(f"{PREFIX}up", "Whether the server answered this time.", labels=["server"])
        models: list[tuple[str, str]] = []
        try:
            with backends().database.transaction() as statements:
                found, fires = snapshot.look(statements), _fires(statements)
                models = self._models(statements)
            yield from metric_families.scheduler(found, fires)
            yield from self._counted(len(models))
            up.add_metric(["postgresql"], 1)
        except psycopg2.Error:
            up.add_metric(["postgresql"], 0)
        try:
            yield from metric_families.queue(snapshot.queue(backends().redis))
            yield from metric_families.results(backends().results.totals())
            latest = backends().results.latest_of([model_id for model_id, _ in models])
            yield from metric_families.quality(models, latest)
            up.add_metric(["redis"], 1)
        except redis.RedisError:
            up.add_metric(["redis"], 0)
        except (ValueError, OverflowError):
            log.warning("Redis holds what nobody of us has written", exc_info=True)
            up.add_metric(["redis"], 0)
        yield up

    def _models(self, statements: cursor) -> list[tuple[str, str]]:
        statements.execute(MODELS, {"limit": self._most_models})
        return statements.fetchall()

    def _counted(self, shown: int) -> Iterator[Metric]:
        if time.monotonic() >= self._count_again_at:
            # Noted first, so that a count that takes too long is not tried at each scrape.
            self._count_again_at = time.monotonic() + COUNT_EVERY
            with backends().database.transaction() as statements:
                statements.execute(SCHEDULES)
                [row] = statements.fetchall()
            self._schedules = Schedules(*row)
        if self._schedules is None:
            return
        left_out = max(0, sum(self._schedules) - shown) if shown == self._most_models else 0
        yield from metric_families.schedules(self._schedules, left_out)


def _fires(statements: cursor) -> Fires:
    statements.execute(FIRES)
    [row] = statements.fetchall()
    return Fires(*row)
