"""Report of a chaos run: the guarantees, the figures, and a summary of each fault."""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from tests.chaos.faults.registry import Injection
from tests.chaos.junk_isolation import IsolationFailure
from tests.chaos.reconciliation import Observations, Reconciliation, Run
from tests.chaos.timeline import Timeline

AFTERMATH = timedelta(seconds=3)  # due times shortly after a fault are counted with it
MAX_LISTED = 10


@dataclass(frozen=True)
class FaultSummary:
    """Results of the due times during one kind of fault."""

    times: int
    due_times: int
    median: float | None  # lateness in seconds
    max: float | None
    missing: int
    twice: int


@dataclass(frozen=True)
class Report:
    """Outcome of a run."""

    figures: Mapping[str, object]
    failures: Sequence[str]
    faults: Mapping[str, FaultSummary]


def measure_lateness(observations: Observations, timeline: Timeline) -> dict[datetime, list[float]]:
    """Return the real time from each due time to its results, in seconds."""
    lateness: dict[datetime, list[float]] = defaultdict(list)
    for results in observations.results.values():
        for result in results:
            lateness[result.score].append(timeline.real_seconds(result.score, result.calculated_at))
    return lateness


def summarize_faults(
    injections: Sequence[Injection], observations: Observations, total: Reconciliation, timeline: Timeline
) -> dict[str, FaultSummary]:
    lateness = measure_lateness(observations, timeline)
    missing = Counter(due_at for _, due_at in total.missing)
    twice = Counter(due_at for _, due_at in total.twice)
    summaries: dict[str, FaultSummary] = {}
    for name in sorted({injection.fault.name for injection in injections}):
        of_fault = [injection for injection in injections if injection.fault.name == name]
        due_times = {
            due_at
            for due_at in observations.due_times
            if any(_is_during(injection, timeline.real_time(due_at)) for injection in of_fault)
        }
        seconds = [value for due_at in due_times for value in lateness.get(due_at, ())]
        summaries[name] = FaultSummary(
            times=len(of_fault),
            due_times=len(due_times),
            median=median(seconds),
            max=max(seconds, default=None),
            missing=sum(missing[due_at] for due_at in due_times),
            twice=sum(twice[due_at] for due_at in due_times),
        )
    return summaries


def _is_during(injection: Injection, instant: datetime) -> bool:
    return injection.started_at <= instant and (injection.ended_at is None or instant <= injection.ended_at + AFTERMATH)


def group_failures(failures: Sequence[IsolationFailure]) -> list[str]:
    """Return a line for each combination of junk faults, the most frequent one first."""
    groups: dict[str, list[IsolationFailure]] = defaultdict(list)
    for failure in failures:
        groups[", ".join(failure.junk) or "no junk"].append(failure)
    by_size = sorted(groups.items(), key=lambda item: len(item[1]), reverse=True)
    return [f"{len(group)} results during {names}; {_describe(group)}" for names, group in by_size[:MAX_LISTED]]


def _describe(failures: Sequence[IsolationFailure]) -> str:
    worst = max(failures, key=lambda failure: failure.seconds)
    reasons = Counter(failure.reason for failure in failures)
    listed = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common(3))
    return f"{listed}; the latest by {worst.seconds:.1f} s: {worst.model_id} at {worst.due_at:%H:%M:%S}"


def median(seconds: Iterable[float]) -> float | None:
    values = list(seconds)
    return statistics.median(values) if values else None


def list_due_times(runs: Sequence[Run]) -> str:
    """Return the due times as text, each with its number of runs."""
    counts = sorted(Counter(due_at for _, due_at in runs).items())
    listed = ", ".join(f"{due_at:%H:%M} {number}" for due_at, number in counts[:MAX_LISTED])
    return listed + (", …" if len(counts) > MAX_LISTED else "")


def print_report(report: Report) -> None:
    """Print tables, and the same as JSON in the last line."""
    print(f"\n{'fault':38} times due times   median       max  missing  twice")
    for name, fault in report.faults.items():
        lateness = f"{_format_seconds(fault.median)} {_format_seconds(fault.max)}"
        print(f"{name:38} {fault.times:5} {fault.due_times:9} {lateness} {fault.missing:8} {fault.twice:6}")
    print()
    for name, value in report.figures.items():
        print(f"{name:26} {value}")
    print("\n" + "\n".join(report.failures or ["all guarantees held"]))
    faults = {name: asdict(fault) for name, fault in report.faults.items()}
    print(json.dumps({**report.figures, "failures": report.failures, "faults": faults}, default=str))


def _format_seconds(seconds: float | None) -> str:
    return f"{'-':>9}" if seconds is None else f"{seconds:7.2f} s"
