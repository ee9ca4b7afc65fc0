"""Check of the isolation of junk: results that it delays, and those that other faults may have delayed."""

from datetime import UTC, datetime, timedelta

from core.cron.spec import CronSpec
from tests.chaos.faults.registry import JUNK_PREFIX, Fault, Injection
from tests.chaos.junk_isolation import IsolationFailure, UsualLateness, check_isolation
from tests.chaos.reconciliation import Observations, StoredResult
from tests.chaos.timeline import MINUTE, Jump, Timeline

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DUE_TIMES = [NOON, NOON + MINUTE, NOON + 2 * MINUTE]
REAL_TIME = Timeline([Jump(NOON, timedelta(0))])
SECOND = timedelta(seconds=1)
JUNK = JUNK_PREFIX + "rows"


def injection(name: str, start: float, end: float) -> Injection:
    """Return an injected fault; its start and end are in seconds after noon."""
    fault = Fault(name, "group", lambda _: None, loses_data=False)
    return Injection(fault, NOON + start * SECOND, NOON + end * SECOND)


def result(due_at: datetime, seconds: float, outcome: str = "ok") -> StoredResult:
    return StoredResult(due_at, due_at, due_at + seconds * SECOND, outcome)


def observe(results: list[StoredResult]) -> Observations:
    """Return the observations of a model that is due at three minutes."""
    return Observations(
        due_times=DUE_TIMES,
        published={},
        skipped=0,
        models={CronSpec("* * * * *", "UTC"): ["model"]},
        results={"model": results},
    )


def find_failures(
    results: list[StoredResult], *injections: Injection, usual_lateness: float = 0.0
) -> list[IsolationFailure]:
    usual = UsualLateness(NOON, usual_lateness)
    return list(check_isolation(observe(results), REAL_TIME, injections, usual).failures)


def test_results_in_time_are_no_failures() -> None:
    assert find_failures([result(due_at, 4.9) for due_at in DUE_TIMES], injection(JUNK, 0, 180)) == []


def test_late_result_is_reported_with_junk_of_that_time() -> None:
    results = [result(DUE_TIMES[0], 1), result(DUE_TIMES[1], 8), result(DUE_TIMES[2], 1)]

    failures = find_failures(results, injection(JUNK, 50, 62), injection(JUNK_PREFIX + "keys", 0, 10))

    assert failures == [IsolationFailure("model", DUE_TIMES[1], 8.0, "late", (JUNK,))]


def test_usual_lateness_is_allowed() -> None:
    results = [result(due_at, 8) for due_at in DUE_TIMES]

    assert find_failures(results, usual_lateness=3.5) == []


def test_skipped_due_time_is_checked_by_result_that_makes_up_for_it() -> None:
    failures = find_failures([result(DUE_TIMES[0], 1), result(DUE_TIMES[2], 1)])

    assert failures == [IsolationFailure("model", DUE_TIMES[1], 61.0, "late", ())]


def test_missing_and_wrong_results_are_reported() -> None:
    failures = find_failures([result(DUE_TIMES[0], 1, "error: cancelled"), result(DUE_TIMES[1], 1)])

    assert [(failure.due_at, failure.reason) for failure in failures] == [
        (DUE_TIMES[0], "error: cancelled"),
        (DUE_TIMES[2], "no result"),
    ]


def test_due_times_during_other_faults_and_their_aftermath_are_not_checked() -> None:
    late = observe([result(due_at, 20) for due_at in DUE_TIMES])

    check = check_isolation(late, REAL_TIME, [injection("kill", 10, 30)], UsualLateness(NOON, 0.0))

    assert check.checked == 1
    assert [failure.due_at for failure in check.failures] == [DUE_TIMES[2]]


def test_single_run_model_is_checked_at_its_only_due_time() -> None:
    observations = Observations(
        due_times=DUE_TIMES,
        published={},
        skipped=0,
        models={},
        results={"new": [result(DUE_TIMES[1], 9)]},
        single_runs={"new": DUE_TIMES[1]},
    )

    check = check_isolation(observations, REAL_TIME, [], UsualLateness(NOON, 0.0))

    assert check == (1, [IsolationFailure("new", DUE_TIMES[1], 9.0, "late", ())])


def test_due_times_before_baseline_are_not_checked() -> None:
    late = observe([result(due_at, 20) for due_at in DUE_TIMES])

    assert check_isolation(late, REAL_TIME, [], UsualLateness(DUE_TIMES[2], 0.0)).checked == 1
