"""Evaluation of a chaos run: guarantees that did not hold, and figures."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.chaos import observations as observed
from tests.chaos import report
from tests.chaos.completion import describe_pending
from tests.chaos.data_losses import LossKind, losable_due_times
from tests.chaos.fault_injection import FaultInjector
from tests.chaos.junk_isolation import IsolationCheck, UsualLateness, check_isolation
from tests.chaos.reconciliation import Observations, Reconciliation, reconcile
from tests.chaos.report import Report
from tests.chaos.settings import Settings
from tests.chaos.timeline import Timeline
from tests.support.databases import fetch_value

BASELINE_TIME = timedelta(seconds=7)  # results of later due times may be delayed by the first fault
MAX_UNEXPECTED = 10  # in the report


class Measurements(NamedTuple):
    """Times of a run, and its end."""

    first_due_after: datetime
    baseline_started_at: datetime
    is_idle: bool
    minutes: float


def evaluate(settings: Settings, injector: FaultInjector, measurements: Measurements) -> Report:
    timeline = injector.clock.timeline()
    observations = _collect(injector, timeline, measurements.first_due_after)
    total = reconcile(observations)
    lateness = report.measure_lateness(observations, timeline)
    baseline = _baseline_lateness(lateness, timeline, measurements.baseline_started_at)
    isolation = check_isolation(
        observations, timeline, injector.injections, UsualLateness(measurements.baseline_started_at, baseline)
    )
    failures = [
        *_reconciliation_failures(total, injector),
        *(f"because of junk: {line}" for line in report.group_failures(isolation.failures)),
        *([] if measurements.is_idle else [f"the system is not idle: {describe_pending(injector.system)}"]),
        *injector.system.failures,
        *(f"error of the chaos test itself: {error}" for error in injector.errors),
    ]
    figures = {
        "seed": settings.seed,
        "minutes": round(measurements.minutes, 1),
        "losses": settings.lose_data,
        "faults": settings.faults or "all",
        "skew (h)": settings.skew,
        "faults injected": len(injector.injections),
        "minutes of the clock": len(observations.due_times),
        **_count_figures(total, observations, isolation),
        **_lateness_figures(lateness, baseline),
        "unexpected exits": len(injector.system.failures),
    }
    return Report(figures, failures, report.summarize_faults(injector.injections, observations, total, timeline))


def _collect(injector: FaultInjector, timeline: Timeline, first_due_after: datetime) -> Observations:
    with injector.system.owner() as db, injector.system.redis_client() as client:
        now = fetch_value(db, "SELECT public.schedule_now()")
        observations = observed.collect(db, client, first_due_after, now)
    return observations.with_losable(losable_due_times(observations, timeline, injector.losses))


def _baseline_lateness(lateness: Mapping[datetime, list[float]], timeline: Timeline, started_at: datetime) -> float:
    """Return the maximum lateness of results without faults, in seconds."""
    seconds = [
        max(seconds)
        for due_at, seconds in lateness.items()
        if started_at <= timeline.real_time(due_at) <= started_at + BASELINE_TIME
    ]
    return max(seconds, default=0.0)


def _reconciliation_failures(total: Reconciliation, injector: FaultInjector) -> Sequence[str]:
    adds_up = total.adds_up or any(loss.kind == LossKind.TABLES_EMPTIED for loss in injector.losses)
    return [
        *([f"missing at {report.list_due_times(total.missing)}"] if total.missing else []),
        *([f"twice at {report.list_due_times(total.twice)}"] if total.twice else []),
        *(f"unexpected: {model_id} at {due_at}" for model_id, due_at in total.unexpected[:MAX_UNEXPECTED]),
        *([] if adds_up else [f"{total.due} due times are not {total.published} published + {total.skipped} skipped"]),
    ]


def _count_figures(
    total: Reconciliation, observations: Observations, isolation: IsolationCheck
) -> Mapping[str, object]:
    return {
        "due times of cron specs": total.due,
        "published": total.published,
        "skipped": total.skipped,
        "published + skipped = due": total.adds_up,
        "results expected": total.expected,
        "present": total.present,
        "missing": len(total.missing),
        "twice": len(total.twice),
        "lost with data": len(total.lost),
        "single-run models": len(observations.single_runs),
        "checked beside junk": isolation.checked,
        "late or wrong by junk": len(isolation.failures),
        "of skipped due times": total.of_skipped,
        "outcomes": dict(total.outcomes),
    }


def _lateness_figures(lateness: Mapping[datetime, list[float]], baseline: float) -> Mapping[str, object]:
    seconds = [value for values in lateness.values() for value in values]
    return {
        "median lateness (s)": round(report.median(seconds) or 0, 3),
        "max lateness (s)": round(max(seconds, default=0), 3),
        "max without faults (s)": round(baseline, 3),
    }
