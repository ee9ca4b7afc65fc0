"""Lateness because of junk: results that come too late while no other kind of fault is at work. Does no I/O."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from tests.chaos.clock import Timeline
from tests.chaos.ledger import Evidence, Result
from tests.chaos.storm import Blow
from tests.chaos.world import JUNK

LIMIT = 5.0  # seconds beyond what is usual from a due time to the model's result of it, or of a later one
JUNK_AFTERMATH = timedelta(seconds=10)
# What another fault has interrupted comes back after the visibility timeout, and is then looked for every 10 seconds.
AFTERMATH = timedelta(seconds=45)


class Finding(NamedTuple):
    """A model that had no result in time, or a wrong one."""

    model: str
    due_at: datetime
    seconds: float  # from the due time; at least so many where there is no result
    reason: str
    during: tuple[str, ...]  # names of the junk


class Judgement(NamedTuple):
    """All findings, and among how many results they are."""

    judged: int
    findings: Sequence[Finding]


class Calm(NamedTuple):
    """The begin of a time without faults, and the longest lateness in it (seconds)."""

    since: datetime
    usual: float


def judge_junk(evidence: Evidence, timeline: Timeline, blows: Sequence[Blow], calm: Calm) -> Judgement:
    """Judge each (model, due time) since the calm at which nothing but junk could delay the result.

    A due time that was skipped is judged by the result of the later one that stands in for it.
    """
    junk = [blow for blow in blows if blow.fault.name.startswith(JUNK)]
    others = [blow for blow in blows if blow not in junk]
    judged, findings = 0, []
    for model, due_times in _expected(evidence).items():
        results = sorted(evidence.results.get(model, ()), key=lambda result: result.score)
        for due_at, first in _first_results(results, due_times):
            calculated_at = first.calculated_at if first else None
            start = timeline.real(due_at)
            end = timeline.real(calculated_at) if calculated_at else start + timedelta(seconds=LIMIT)
            if start < calm.since or any(_overlaps(blow, start, end, AFTERMATH) for blow in others):
                continue
            judged += 1
            seconds = (end - start).total_seconds()
            reason = "no result" if first is None else "late" if seconds > calm.usual + LIMIT else first.outcome
            if reason != "ok":
                during = {blow.fault.name for blow in junk if _overlaps(blow, start, end, JUNK_AFTERMATH)}
                findings.append(Finding(model, due_at, seconds, reason, tuple(sorted(during))))
    return Judgement(judged, findings)


def _expected(evidence: Evidence) -> dict[str, Sequence[datetime]]:
    """Return the due times of each model."""
    regular = {model: evidence.passed for models in evidence.models.values() for model in models}
    return {**regular, **{model: [due_at] for model, due_at in evidence.newcomers.items()}}


def _first_results(results: Sequence[Result], due_times: Sequence[datetime]) -> list[tuple[datetime, Result | None]]:
    """Return for each due time, in ascending order, the first calculated of the results of it and of later ones."""
    first: Result | None = None
    remaining = list(results)
    found = []
    for due_at in reversed(due_times):
        while remaining and remaining[-1].score >= due_at:
            result = remaining.pop()
            first = result if first is None or result.calculated_at <= first.calculated_at else first
        found.append((due_at, first))
    return found[::-1]


def _overlaps(blow: Blow, start: datetime, end: datetime, aftermath: timedelta) -> bool:
    return blow.began <= end and (blow.ended is None or start <= blow.ended + aftermath)
