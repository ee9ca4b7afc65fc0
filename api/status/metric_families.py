"""What is known of the system, as metrics of Prometheus."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from api.status.snapshot import Queue, System
from core.results.models import Result, ResultTotals

PREFIX = "cyclic_metrics_"


class Fires(NamedTuple):
    """Sums over all fires that there ever were."""

    fires: int
    models: int
    messages: int
    skipped: int


class Schedules(NamedTuple):
    """How many there are."""

    enabled: int
    paused: int


def scheduler(found: System, fires: Fires) -> Iterator[Metric]:
    """Yield what the tables of the scheduler say."""
    yield _gauge("clock_timestamp_seconds", "The clock that all moments go by: PostgreSQL's.", _epoch(found.now))
    yield _counter("fires", "Moments that were sent.", fires.fires)
    yield _counter("fired_models", "Models that were due at them.", fires.models)
    yield _counter("sent_messages", "Messages sent to the workers.", fires.messages)
    yield _counter("skipped_moments", "Moments that an outage left unsent, each pair for itself.", fires.skipped)
    last = found.last_fire
    yield _gauge("last_fire_due_timestamp_seconds", "The last moment that was sent.", _epoch(last and last.due_at))
    yield _gauge("last_fire_lag_seconds", "How late its sending began.", _seconds(last and last.lag))
    yield _gauge("last_fire_duration_seconds", "How long its sending took.", _seconds(last and last.duration))
    leader = found.leader
    yield _gauge("leader_looked_timestamp_seconds", "When the leader last looked.", _epoch(leader.looked_at))
    yield _gauge("leader_since_timestamp_seconds", "When the leader took over.", _epoch(leader.since))
    yield _gauge("leader_error", "1: something keeps the leader from sending.", int(leader.error is not None))
    oldest = found.late.pairs[0][1] if found.late.pairs else found.now
    yield _gauge("late_pairs", "Pairs of cron expression and time zone whose moment passed.", found.late.count)
    yield _gauge("late_oldest_age_seconds", "For how long the first of them is late.", _seconds(found.now - oldest))
    yield _gauge("error_pairs", "Pairs in use that cannot be fired.", found.errors.count)


def queue(queue: Queue) -> Iterator[Metric]:
    """Yield what waits and what is at work; the age is 0 where nothing does, and left out where it is not known."""
    queued_at = queue.oldest_queued_at if queue.messages else queue.now
    waits = queue.now - queued_at if queued_at else None
    taken_at = queue.oldest_taken_at if queue.taken else queue.now
    is_at_work = queue.now - taken_at if taken_at else None
    yield _gauge("queue_messages", "Messages that wait for a worker.", queue.messages)
    yield _gauge(
        "queue_oldest_age_seconds",
        "For how long the next of them waits.",
        _seconds(waits),
    )
    yield _gauge("taken_messages", "Messages that workers have taken and not finished.", queue.taken)
    yield _gauge("taken_oldest_age_seconds", "For how long the oldest is at work.", _seconds(is_at_work))


def results(totals: ResultTotals) -> Iterator[Metric]:
    """Yield the figures over all models."""
    added = CounterMetricFamily(
        f"{PREFIX}results", "ResultStore since Redis was empty, the first of each model and moment.", labels=["status"]
    )
    for status, count in totals.added.items():
        added.add_metric([status], count)
    yield added
    yield _gauge("failing_models", "Models whose last result is not ok, also without a schedule.", totals.failing)


def schedules(found: Schedules, left_out: int) -> Iterator[Metric]:
    """Yield how many schedules there are, and how many of them quality() does not show."""
    count = GaugeMetricFamily(f"{PREFIX}schedules", "Schedules, counted at most once a minute.", labels=["enabled"])
    count.add_metric(["true"], found.enabled)
    count.add_metric(["false"], found.paused)
    yield count
    yield _gauge("models_left_out", "Models whose quality is not shown here (MODEL_METRICS).", left_out)


def quality(models: Iterable[tuple[str, str]], latest: Iterable[Result | None]) -> Iterator[Metric]:
    """Yield the latest results of models, given by id and name."""
    labels = ["model_id", "name"]
    accuracy = GaugeMetricFamily(f"{PREFIX}model_accuracy", "Of the last result; none if it is not ok.", labels=labels)
    samples = GaugeMetricFamily(f"{PREFIX}model_samples", "Labels that were compared.", labels=labels)
    due_at = GaugeMetricFamily(
        f"{PREFIX}model_result_timestamp_seconds", "The moment of the last result.", labels=labels
    )
    for model, result in zip(models, latest, strict=True):
        if result:
            if result.accuracy is not None:
                accuracy.add_metric(model, result.accuracy)
            samples.add_metric(model, result.samples)
            due_at.add_metric(model, result.due_at.timestamp())
    yield from (accuracy, samples, due_at)


def _gauge(name: str, what: str, value: float | None) -> Metric:
    """Return a metric; without a value it has its name alone."""
    return GaugeMetricFamily(f"{PREFIX}{name}", what, value=value)


def _counter(name: str, what: str, value: int) -> Metric:
    return CounterMetricFamily(f"{PREFIX}{name}", what, value=value)


def _epoch(instant: datetime | None) -> float | None:
    return instant.timestamp() if instant else None


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
