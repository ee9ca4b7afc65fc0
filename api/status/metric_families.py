"""Metric families for Prometheus."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from api.contract.response_fields import to_seconds
from api.status.snapshot import QueueState, SystemSnapshot
from core.results.models import Result, ResultTotals

PREFIX = "cyclic_metrics_"


class FireTotals(NamedTuple):
    """Sums over all fires, deleted ones included."""

    fires: int
    models: int
    messages: int
    skipped: int


class ScheduleCounts(NamedTuple):
    """Numbers of schedules."""

    enabled: int
    paused: int


class ModelName(NamedTuple):
    """A model, as the labels of its metrics."""

    model_id: str
    name: str  # empty where it has none


def scheduler(system: SystemSnapshot, totals: FireTotals) -> Iterator[Metric]:
    """Yield the metrics of the scheduler."""
    now, leader, late, last = system.now, system.leader, system.late, system.last_fire
    yield _gauge("clock_timestamp_seconds", "PostgreSQL's clock, by which schedules run.", _epoch_seconds(now))
    yield _counter("fires", "Due times that were published.", totals.fires)
    yield _counter("fired_models", "Models that were due at them.", totals.models)
    yield _counter("sent_messages", "Messages sent to the workers.", totals.messages)
    yield _counter("skipped_moments", "Due times that an outage left out, of each cron spec.", totals.skipped)
    yield _gauge(
        "last_fire_due_timestamp_seconds", "The last due time published.", _epoch_seconds(last and last.due_at)
    )
    yield _gauge("last_fire_lag_seconds", "Delay until its publishing began.", to_seconds(last and last.lag))
    yield _gauge("last_fire_duration_seconds", "Duration of its publishing.", to_seconds(last and last.duration))
    yield _gauge("leader_looked_timestamp_seconds", "Last heartbeat of the leader.", _epoch_seconds(leader.looked_at))
    yield _gauge("leader_since_timestamp_seconds", "When the leader took over.", _epoch_seconds(leader.since))
    yield _gauge("leader_error", "1: an error keeps the leader from publishing.", int(leader.error is not None))
    oldest = late.listed[0].due_at if late.listed else now
    yield _gauge("late_pairs", "Pairs of cron expression and time zone that are late.", late.count)
    yield _gauge("late_oldest_age_seconds", "For how long the oldest of them is late.", to_seconds(now - oldest))
    yield _gauge("error_pairs", "Pairs in use that cannot run.", system.failing.count)


def queue(queue: QueueState) -> Iterator[Metric]:
    """Yield the metrics of the queue; an age is 0 without messages, and left out where it is unknown."""
    queued_at = queue.oldest_queued_at if queue.messages else queue.now
    queue_age = queue.now - queued_at if queued_at else None
    taken_at = queue.oldest_taken_at if queue.taken else queue.now
    taken_age = queue.now - taken_at if taken_at else None
    yield _gauge("queue_messages", "Messages that wait for a worker.", queue.messages)
    yield _gauge("queue_oldest_age_seconds", "For how long the next of them waits.", to_seconds(queue_age))
    yield _gauge("taken_messages", "Messages that workers have taken and not finished.", queue.taken)
    yield _gauge("taken_oldest_age_seconds", "For how long the oldest is being processed.", to_seconds(taken_age))


def results(totals: ResultTotals) -> Iterator[Metric]:
    """Yield the metrics over all models."""
    added = CounterMetricFamily(
        f"{PREFIX}results", "Results since Redis was empty, the first of each model and due time.", labels=["status"]
    )
    for status, count in totals.added.items():
        added.add_metric([status], count)
    yield added
    yield _gauge("failing_models", "Models whose last result is not ok, also without a schedule.", totals.failing)


def schedules(counts: ScheduleCounts, left_out: int) -> Iterator[Metric]:
    """Yield the numbers of schedules, and of those that models() leaves out."""
    count = GaugeMetricFamily(f"{PREFIX}schedules", "Schedules, counted at most once a minute.", labels=["enabled"])
    count.add_metric(["true"], counts.enabled)
    count.add_metric(["false"], counts.paused)
    yield count
    yield _gauge("models_left_out", "Models whose metrics are left out here (MODEL_METRICS).", left_out)


def models(names: Iterable[ModelName], latest: Iterable[Result | None]) -> Iterator[Metric]:
    """Yield the latest results of models."""
    labels = ModelName._fields
    accuracy = GaugeMetricFamily(f"{PREFIX}model_accuracy", "Of the last result; none if it is not ok.", labels=labels)
    samples = GaugeMetricFamily(f"{PREFIX}model_samples", "Labels that were compared.", labels=labels)
    due_at = GaugeMetricFamily(
        f"{PREFIX}model_result_timestamp_seconds", "The due time of the last result.", labels=labels
    )
    for model, result in zip(names, latest, strict=True):
        if result:
            if result.accuracy is not None:
                accuracy.add_metric(model, result.accuracy)
            samples.add_metric(model, result.samples)
            due_at.add_metric(model, result.due_at.timestamp())
    yield from (accuracy, samples, due_at)


def _gauge(name: str, documentation: str, value: float | None) -> Metric:
    """Return a gauge; without a value it has no sample."""
    return GaugeMetricFamily(f"{PREFIX}{name}", documentation, value=value)


def _counter(name: str, documentation: str, value: int) -> Metric:
    return CounterMetricFamily(f"{PREFIX}{name}", documentation, value=value)


def _epoch_seconds(timestamp: datetime | None) -> float | None:
    return timestamp.timestamp() if timestamp else None
