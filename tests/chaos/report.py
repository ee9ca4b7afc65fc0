"""What a run prints: the count, and the faults one by one."""

import json
import statistics
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta

from tests.chaos.clock import Timeline
from tests.chaos.lateness import Finding
from tests.chaos.ledger import Count, Evidence
from tests.chaos.storm import Blow

AFTERMATH = timedelta(seconds=3)  # a fault is felt that much longer
SHOWN = 10


@dataclass(frozen=True)
class Felt:
    """What became of the moments that passed while a fault was there."""

    times: int
    moments: int
    median: float | None  # seconds from the moment to the result
    longest: float | None
    missing: int
    twice: int


@dataclass(frozen=True)
class Outcome:
    """Everything that a run found out."""

    figures: Mapping[str, object]
    failures: Sequence[str]
    faults: Mapping[str, Felt]


def lateness(evidence: Evidence, timeline: Timeline) -> dict[datetime, list[float]]:
    """Return how many real seconds after each moment its results were calculated."""
    found: dict[datetime, list[float]] = defaultdict(list)
    for results in evidence.results.values():
        for result in results:
            found[result.score].append(timeline.seconds(result.score, result.calculated_at))
    return found


def felt(blows: Sequence[Blow], evidence: Evidence, count: Count, timeline: Timeline) -> dict[str, Felt]:
    late = lateness(evidence, timeline)
    missing = Counter(moment for _, moment in count.missing)
    twice = Counter(moment for _, moment in count.twice)
    faults: dict[str, Felt] = {}
    for name in sorted({blow.fault.name for blow in blows}):
        of_this = [blow for blow in blows if blow.fault.name == name]
        moments = {moment for moment in evidence.passed if any(is_in(blow, timeline.real(moment)) for blow in of_this)}
        seconds = [each for moment in moments for each in late.get(moment, ())]
        faults[name] = Felt(
            times=len(of_this),
            moments=len(moments),
            median=median(seconds),
            longest=max(seconds, default=None),
            missing=sum(missing[moment] for moment in moments),
            twice=sum(twice[moment] for moment in moments),
        )
    return faults


def is_in(blow: Blow, instant: datetime) -> bool:
    return blow.began <= instant and (blow.ended is None or instant <= blow.ended + AFTERMATH)


def grouped(findings: Sequence[Finding]) -> list[str]:
    """Return what was late or wrong in words, the junk with most of it first."""
    of_junk: dict[str, list[Finding]] = defaultdict(list)
    for finding in findings:
        of_junk[", ".join(finding.during) or "no junk"].append(finding)
    ordered = sorted(of_junk.items(), key=lambda item: len(item[1]), reverse=True)
    return [f"{len(found)} results during {names}; {_examples(found)}" for names, found in ordered[:SHOWN]]


def _examples(findings: Sequence[Finding]) -> str:
    worst = max(findings, key=lambda finding: finding.seconds)
    reasons = Counter(finding.reason for finding in findings)
    listed = ", ".join(f"{reason} {number}" for reason, number in reasons.most_common(3))
    return f"{listed}; the latest by {worst.seconds:.1f} s: {worst.model} at {worst.due_at:%H:%M:%S}"


def median(seconds: Iterable[float]) -> float | None:
    values = list(seconds)
    return statistics.median(values) if values else None


def show(outcome: Outcome) -> None:
    """Print tables, and all of it once more as JSON in the last line."""
    print(f"\n{'fault':38} times moments    median   longest  missing  twice")
    for name, fault in outcome.faults.items():
        print(
            f"{name:38} {fault.times:5} {fault.moments:7} {shown(fault.median)} {shown(fault.longest)}"
            f" {fault.missing:8} {fault.twice:6}"
        )
    print()
    for name, value in outcome.figures.items():
        print(f"{name:26} {value}")
    print("\n" + "\n".join(outcome.failures or ["all promises were kept"]))
    faults = {name: asdict(fault) for name, fault in outcome.faults.items()}
    print(json.dumps({**outcome.figures, "failures": outcome.failures, "faults": faults}, default=str))


def shown(seconds: float | None) -> str:
    return f"{'-':>9}" if seconds is None else f"{seconds:7.2f} s"


def moments_of(entries: Sequence[tuple[str, datetime]]) -> str:
    """Return at which moments entries are, and how many."""
    counted = sorted(Counter(moment for _, moment in entries).items())
    listed = ", ".join(f"{moment:%H:%M} {number}" for moment, number in counted[:SHOWN])
    return listed + (", …" if len(counted) > SHOWN else "")
