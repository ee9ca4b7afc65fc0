"""Isolation check: junk must not delay results of other models. Does no I/O."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.chaos.faults.registry import JUNK_PREFIX, Injection
from tests.chaos.reconciliation import Observations, StoredResult
from tests.chaos.timeline import Timeline

# Seconds beyond the usual lateness, from a due time to the result of it or of a later one.
MAX_DELAY = 5.0
JUNK_AFTERMATH = timedelta(seconds=10)
# Interrupted runs are redelivered after the visibility timeout, for which workers check every 10 seconds.
FAULT_AFTERMATH = timedelta(seconds=45)


class IsolationFailure(NamedTuple):
    """A run whose result is late, wrong or missing although only junk was injected."""

    model_id: str
    due_at: datetime
    seconds: float  # of lateness; the limit if there is no result
    reason: str
    junk: tuple[str, ...]  # names of the faults


class IsolationCheck(NamedTuple):
    """Number of runs checked, and the failures among them."""

    checked: int
    failures: Sequence[IsolationFailure]


class UsualLateness(NamedTuple):
    """Maximum lateness without faults (seconds), and the real time at which its measurement began."""

    since: datetime
    seconds: float


def check_isolation(
    observations: Observations, timeline: Timeline, injections: Sequence[Injection], usual: UsualLateness
) -> IsolationCheck:
    """Check each run during which no fault but junk could delay the result.

    For a skipped due time, the result of the later one that makes up for it counts.
    """
    junk = [injection for injection in injections if injection.fault.name.startswith(JUNK_PREFIX)]
    others = [injection for injection in injections if injection not in junk]
    checked, failures = 0, []
    for model_id, due_times in _due_times(observations).items():
        results = sorted(observations.results.get(model_id, ()), key=lambda result: result.score)
        for due_at, result in _first_results(results, due_times):
            start = timeline.real_time(due_at)
            end = timeline.real_time(result.calculated_at) if result else start + timedelta(seconds=MAX_DELAY)
            if start < usual.since or any(_overlaps(other, start, end, FAULT_AFTERMATH) for other in others):
                continue
            checked += 1
            seconds = (end - start).total_seconds()
            reason = _failure_reason(result, seconds, usual.seconds + MAX_DELAY)
            if reason is not None:
                names = {item.fault.name for item in junk if _overlaps(item, start, end, JUNK_AFTERMATH)}
                failures.append(IsolationFailure(model_id, due_at, seconds, reason, tuple(sorted(names))))
    return IsolationCheck(checked, failures)


def _failure_reason(result: StoredResult | None, seconds: float, max_seconds: float) -> str | None:
    if result is None:
        return "no result"
    if seconds > max_seconds:
        return "late"
    return None if result.outcome == "ok" else result.outcome


def _due_times(observations: Observations) -> dict[str, Sequence[datetime]]:
    """Return the due times of each model."""
    counted = {model_id: observations.due_times for models in observations.models.values() for model_id in models}
    return {**counted, **{model_id: [due_at] for model_id, due_at in observations.single_runs.items()}}


def _first_results(
    results: Sequence[StoredResult], due_times: Sequence[datetime]
) -> list[tuple[datetime, StoredResult | None]]:
    """Return for each due time, in ascending order, the first calculated of the results of it and of later ones."""
    first: StoredResult | None = None
    remaining = list(results)
    pairs = []
    for due_at in reversed(due_times):
        while remaining and remaining[-1].score >= due_at:
            result = remaining.pop()
            first = result if first is None or result.calculated_at <= first.calculated_at else first
        pairs.append((due_at, first))
    return pairs[::-1]


def _overlaps(injection: Injection, start: datetime, end: datetime, aftermath: timedelta) -> bool:
    return injection.started_at <= end and (injection.ended_at is None or start <= injection.ended_at + aftermath)
