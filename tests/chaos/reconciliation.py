"""Reconciliation of expected with stored results. Does no I/O."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime

from core.cron.spec import CronSpec

Run = tuple[str, datetime]  # model id (or cron spec) and due time


@dataclass(frozen=True)
class StoredResult:
    """A result in Redis."""

    score: datetime  # due time by the score of the sorted set
    due_at: datetime  # due time by the result itself
    calculated_at: datetime
    outcome: str  # "ok", or another status and its error


@dataclass(frozen=True)
class Observations:
    """Independent observations of a run."""

    due_times: Sequence[datetime]  # full minutes that the clock passed; each cron spec is due at each of them
    published: Mapping[CronSpec, Collection[datetime]]  # due times recorded as published
    skipped: int  # due times that fires counts as skipped, of each cron spec
    models: Mapping[CronSpec, Sequence[str]]
    results: Mapping[str, Sequence[StoredResult]]  # of each model
    losable: Mapping[CronSpec, Collection[datetime]] = field(default_factory=dict)  # allowed to be lost with data
    single_runs: Mapping[str, datetime] = field(default_factory=dict)  # due times of models that run once

    def with_losable(self, losable: Mapping[CronSpec, Collection[datetime]]) -> "Observations":
        return replace(self, losable=losable)


@dataclass
class Reconciliation:
    """Differences between expected and stored results."""

    expected: int = 0
    present: int = 0
    of_skipped: int = 0  # results of due times that were published in part, and then skipped
    due: int = 0  # due times of all cron specs
    published: int = 0  # of them
    skipped: int = 0
    missing: list[Run] = field(default_factory=list)
    lost: list[Run] = field(default_factory=list)
    twice: list[Run] = field(default_factory=list)
    unexpected: list[Run] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)

    @property
    def adds_up(self) -> bool:
        """Return True if each due time was published or skipped."""
        return self.due == self.published + self.skipped


def reconcile(observations: Observations) -> Reconciliation:
    """Compare stored with expected results.

    Each run of a published due time has one result. The last due time must have been published: no later one makes up
    for it.
    """
    total = Reconciliation(due=len(observations.models) * len(observations.due_times), skipped=observations.skipped)
    due_times, last = set(observations.due_times), max(observations.due_times)
    for spec, models in observations.models.items():
        recorded = set(observations.published.get(spec, ()))
        published = recorded & due_times
        total.unexpected += [(str(spec), due_at) for due_at in recorded - due_times]
        total.published += len(published)
        expected = published | {last}
        losable = set(observations.losable.get(spec, ())) - {last}
        for model_id in models:
            results = observations.results.get(model_id, ())
            _reconcile_model(total, model_id, results, expected=expected, losable=losable, due_times=due_times)
    for model_id, due_at in observations.single_runs.items():
        results = observations.results.get(model_id, ())
        _reconcile_model(total, model_id, results, expected=[due_at], losable=[], due_times=[due_at])
    known = {model_id for models in observations.models.values() for model_id in models}
    for model_id in observations.results.keys() - known - observations.single_runs.keys():
        total.unexpected += [(model_id, result.score) for result in observations.results[model_id]]
    return total


def _reconcile_model(
    total: Reconciliation,
    model_id: str,
    results: Sequence[StoredResult],
    *,
    expected: Collection[datetime],
    losable: Collection[datetime],
    due_times: Collection[datetime],
) -> None:
    counts = Counter(result.score for result in results)
    total.expected += len(expected)
    total.outcomes.update(result.outcome for result in results)
    for result in results:
        if result.due_at != result.score or result.score not in due_times:
            total.unexpected.append((model_id, result.score))
    for due_at in sorted(set(expected) | set(counts)):
        if counts[due_at] > 1:
            total.twice.append((model_id, due_at))
        if due_at not in expected:
            total.of_skipped += 1
        elif counts[due_at]:
            total.present += 1
        elif due_at in losable:
            total.lost.append((model_id, due_at))
        else:
            total.missing.append((model_id, due_at))
