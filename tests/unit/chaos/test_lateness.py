"""The judgement of junk: which results it makes late, and which it cannot be blamed for."""

from datetime import UTC, datetime, timedelta

from core.cron.spec import CronSpec
from tests.chaos.clock import MINUTE, Step, Timeline
from tests.chaos.lateness import Calm, Finding, judge_junk
from tests.chaos.ledger import Evidence, Result
from tests.chaos.storm import Blow
from tests.chaos.world import JUNK, Fault

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DUE = [NOON, NOON + MINUTE, NOON + 2 * MINUTE]
STEADY = Timeline([Step(NOON, timedelta(0))])  # a clock that shows the real time
SECOND = timedelta(seconds=1)
JUNK_NAME = JUNK + "rows"


def blow(name: str, begin: float, end: float) -> Blow:
    """Return a fault that took place, in seconds after noon."""
    fault = Fault(name, "group", lambda _: None, loses_data=False)
    return Blow(fault, NOON + begin * SECOND, NOON + end * SECOND)


def result(due_at: datetime, seconds: float, outcome: str = "ok") -> Result:
    return Result(due_at, due_at, due_at + seconds * SECOND, outcome)


def evidence(results: list[Result]) -> Evidence:
    """Return the evidence of a model that is due at three minutes."""
    return Evidence(
        passed=DUE, fired={}, skipped=0, models={CronSpec("* * * * *", "UTC"): ["model"]}, results={"model": results}
    )


def findings(results: list[Result], *blows: Blow, usual: float = 0.0) -> list[Finding]:
    """Return the findings of that model."""
    return list(judge_junk(evidence(results), STEADY, blows, Calm(NOON, usual)).findings)


def test_results_in_time_are_no_findings() -> None:
    assert findings([result(due_at, 4.9) for due_at in DUE], blow(JUNK_NAME, 0, 180)) == []


def test_late_result_is_found_with_the_junk_of_that_time() -> None:
    results = [result(DUE[0], 1), result(DUE[1], 8), result(DUE[2], 1)]

    found = findings(results, blow(JUNK_NAME, 50, 62), blow(JUNK + "keys", 0, 10))

    assert found == [Finding("model", DUE[1], 8.0, "late", (JUNK_NAME,))]


def test_lateness_counts_beyond_what_is_usual() -> None:
    results = [result(due_at, 8) for due_at in DUE]

    assert findings(results, usual=3.5) == []


def test_skipped_due_time_is_judged_by_its_stand_in() -> None:
    found = findings([result(DUE[0], 1), result(DUE[2], 1)])

    assert found == [Finding("model", DUE[1], 61.0, "late", ())]


def test_missing_and_wrong_results_are_found() -> None:
    found = findings([result(DUE[0], 1, "error: cancelled"), result(DUE[1], 1)])

    assert [(finding.due_at, finding.reason) for finding in found] == [
        (DUE[0], "error: cancelled"),
        (DUE[2], "no result"),
    ]


def test_due_times_of_other_faults_and_their_aftermath_are_not_judged() -> None:
    late = evidence([result(due_at, 20) for due_at in DUE])

    judgement = judge_junk(late, STEADY, [blow("kill", 10, 30)], Calm(NOON, 0.0))

    assert judgement.judged == 1
    assert [finding.due_at for finding in judgement.findings] == [DUE[2]]


def test_newcomer_is_judged_at_its_only_due_time() -> None:
    newcomer = Evidence(
        passed=DUE, fired={}, skipped=0, models={}, results={"new": [result(DUE[1], 9)]}, newcomers={"new": DUE[1]}
    )

    judgement = judge_junk(newcomer, STEADY, [], Calm(NOON, 0.0))

    assert judgement == (1, [Finding("new", DUE[1], 9.0, "late", ())])


def test_due_times_before_the_calm_are_not_judged() -> None:
    late = evidence([result(due_at, 20) for due_at in DUE])

    assert judge_junk(late, STEADY, [], Calm(DUE[2], 0.0)).judged == 1
