"""The count: what was promised, and what is there. Decides, and does no I/O."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.cron.spec import CronSpec

Entry = tuple[str, datetime]  # a model and a moment


@dataclass(frozen=True)
class Result:
    """A result as it lies in Redis."""

    score: datetime  # the moment under which it is found
    due_at: datetime  # the moment that it says itself
    calculated_at: datetime
    outcome: str  # "ok", or another status and its reason


@dataclass(frozen=True)
class Evidence:
    """What was seen, each by itself."""

    passed: Sequence[datetime]  # the full minutes that the clock passed; each pair is due at each
    fired: Mapping[CronSpec, Collection[datetime]]  # recorded as sent
    skipped: int  # moments that fires counts as skipped, each pair for itself
    models: Mapping[CronSpec, Sequence[str]]
    results: Mapping[str, Sequence[Result]]  # of each model
    lost: Mapping[CronSpec, Collection[datetime]] = field(default_factory=dict)  # may be missing after a loss of data
    newcomers: Mapping[str, datetime] = field(default_factory=dict)  # models that run once, and when

    def losing(self, lost: Mapping[CronSpec, Collection[datetime]]) -> "Evidence":
        return replace(self, lost=lost)


@dataclass
class Count:
    """What the evidence comes to."""

    promised: int = 0
    present: int = 0
    late_but_skipped: int = 0  # results of moments that were sent in part, and then skipped
    moments: int = 0  # pairs times minutes
    sent: int = 0  # of them
    skipped: int = 0
    missing: list[Entry] = field(default_factory=list)
    lost: list[Entry] = field(default_factory=list)
    twice: list[Entry] = field(default_factory=list)
    strange: list[Entry] = field(default_factory=list)  # nobody may expect them
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def adds_up(self) -> bool:
        """Whether each moment was sent or skipped."""
        return self.moments == self.sent + self.skipped


def count(evidence: Evidence) -> Count:
    """Count what is there against what was promised.

    Each (model, moment) that was sent has one result. The last moment must have
    been sent: nothing later stands in for it.
    """
    total = Count(moments=len(evidence.models) * len(evidence.passed), skipped=evidence.skipped)
    passed, last = set(evidence.passed), max(evidence.passed)
    for pair, models in evidence.models.items():
        fired = set(evidence.fired.get(pair, ())) & passed
        total.strange += [(str(pair), moment) for moment in set(evidence.fired.get(pair, ())) - passed]
        total.sent += len(fired)
        promised = fired | {last}
        lost = set(evidence.lost.get(pair, ())) - {last}
        for model in models:
            _count_model(total, model, evidence.results.get(model, ()), promised=promised, lost=lost, passed=passed)
    for model, due_at in evidence.newcomers.items():
        once = [due_at]
        _count_model(total, model, evidence.results.get(model, ()), promised=once, lost=[], passed=once)
    known = {model for models in evidence.models.values() for model in models} | evidence.newcomers.keys()
    for stranger in evidence.results.keys() - known:
        total.strange += [(stranger, result.score) for result in evidence.results[stranger]]
    return total


def _count_model(
    total: Count,
    model: str,
    results: Sequence[Result],
    *,
    promised: Collection[datetime],
    lost: Collection[datetime],
    passed: Collection[datetime],
) -> None:
    there = Counter(result.score for result in results)
    total.promised += len(promised)
    total.outcomes.update(result.outcome for result in results)
    for result in results:
        if result.due_at != result.score or result.score not in passed:
            total.strange.append((model, result.score))
    for moment in sorted(set(promised) | set(there)):
        if there[moment] > 1:
            total.twice.append((model, moment))
        if moment not in promised:
            total.late_but_skipped += 1
        elif there[moment]:
            total.present += 1
        elif moment in lost:
            total.lost.append((model, moment))
        else:
            total.missing.append((model, moment))
