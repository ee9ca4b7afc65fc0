"""Collector of the system's metrics: reads PostgreSQL and Redis at each scrape."""

import logging
import time
from collections.abc import Iterator

import psycopg2
import redis
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector
from psycopg2.extensions import cursor

from api.backends import backends
from api.rows import fetch_records
from api.status import metric_families, snapshot
from api.status.metric_families import PREFIX, FireTotals, ModelName, ScheduleCounts

log = logging.getLogger(__name__)

COUNT_INTERVAL = 60.0  # seconds; counting a million schedules takes longer than all the rest

FIRE_TOTALS = """
    SELECT retired.fires + log.fires AS fires, retired.models + log.models AS models,
        retired.messages + log.messages AS messages, retired.skipped + log.skipped AS skipped
    FROM public.retired_fires AS retired, (
        SELECT count(fired_at) AS fires, coalesce(sum(models), 0)::bigint AS models,
            coalesce(sum(messages), 0)::bigint AS messages, coalesce(sum(skipped), 0)::bigint AS skipped
        FROM public.fires) AS log
"""
# By schedule.model_id, which has an index, not by the text of the same name.
MODEL_NAMES = """
    SELECT schedule.model_id::text, coalesce(schedule.name, '') AS name
    FROM public.metrics_executions AS schedule ORDER BY schedule.model_id LIMIT %(limit)s
"""
SCHEDULE_COUNTS = """
    SELECT count(*) FILTER (WHERE enabled) AS enabled, count(*) FILTER (WHERE NOT enabled) AS paused
    FROM public.metrics_executions
"""


class SystemCollector(Collector):
    """Reads the backends of the application that handles the request."""

    def __init__(self, max_models: int, *, count_interval: float = COUNT_INTERVAL) -> None:
        """Collect the latest results of so many models, the first ones by model_id: each is three series."""
        self._max_models = max_models
        self._count_interval = count_interval
        self._schedule_counts: ScheduleCounts | None = None
        self._count_again_at = 0.0  # by time.monotonic()

    def collect(self) -> Iterator[Metric]:
        """Yield all metrics that can be read: an unavailable server costs only its own."""
        up = GaugeMetricFamily(f"{PREFIX}up", "1: the server responds.", labels=["server"])
        models: list[ModelName] = []
        try:
            with backends().database.transaction() as cur:
                system, totals = snapshot.read_snapshot(cur), _fire_totals(cur)
                models = self._model_names(cur)
            yield from metric_families.scheduler(system, totals)
            yield from self._schedules(len(models))
            up.add_metric(["postgresql"], 1)
        except psycopg2.Error:
            up.add_metric(["postgresql"], 0)
        try:
            yield from metric_families.queue(snapshot.read_queue(backends().redis))
            yield from metric_families.results(backends().results.totals())
            latest = backends().results.latest_of([model.model_id for model in models])
            yield from metric_families.models(models, latest)
            up.add_metric(["redis"], 1)
        except redis.RedisError:
            up.add_metric(["redis"], 0)
        except (ValueError, OverflowError):
            log.warning("unexpected data in Redis", exc_info=True)
            up.add_metric(["redis"], 0)
        yield up

    def _model_names(self, cur: cursor) -> list[ModelName]:
        cur.execute(MODEL_NAMES, {"limit": self._max_models})
        return fetch_records(cur, ModelName)

    def _schedules(self, listed: int) -> Iterator[Metric]:
        if time.monotonic() >= self._count_again_at:
            # Set first, so that a count that exceeds the time limit is not repeated at each scrape.
            self._count_again_at = time.monotonic() + self._count_interval
            with backends().database.transaction() as cur:
                cur.execute(SCHEDULE_COUNTS)
                [self._schedule_counts] = fetch_records(cur, ScheduleCounts)
        counts = self._schedule_counts
        if counts is None:
            return
        left_out = max(0, counts.enabled + counts.paused - listed) if listed == self._max_models else 0
        yield from metric_families.schedules(counts, left_out)


def _fire_totals(cur: cursor) -> FireTotals:
    cur.execute(FIRE_TOTALS)
    [totals] = fetch_records(cur, FireTotals)
    return totals
