"""Reconciliation of expected with stored results: present, missing, twice, skipped, lost, unexpected."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from core.cron.spec import CronSpec
from tests.chaos.data_losses import DataLoss, LossKind, losable_due_times
from tests.chaos.reconciliation import Observations, StoredResult, reconcile
from tests.chaos.timeline import MINUTE, Jump, Timeline

UTC_SPEC, INDIAN_SPEC = CronSpec("* * * * *", "UTC"), CronSpec("* * * * *", "Asia/Kolkata")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DUE_TIMES = [NOON + number * MINUTE for number in range(4)]


def result(due_at: datetime, outcome: str = "ok") -> StoredResult:
    return StoredResult(due_at, due_at, due_at + timedelta(seconds=1), outcome)


def observe(
    published: Collection[datetime] = DUE_TIMES,
    skipped: int = 0,
    first: Collection[datetime] = DUE_TIMES,
    second: Collection[datetime] = DUE_TIMES,
    losable: Collection[datetime] = (),
) -> Observations:
    """Return the observations of two models with one cron spec, and results of these due times."""
    return Observations(
        due_times=DUE_TIMES,
        published={UTC_SPEC: published},
        skipped=skipped,
        models={UTC_SPEC: ["first", "second"]},
        results={"first": [result(due_at) for due_at in first], "second": [result(due_at) for due_at in second]},
        losable={UTC_SPEC: losable},
    )


def test_all_results_are_present() -> None:
    total = reconcile(observe())

    assert (total.expected, total.present, total.missing, total.twice, total.unexpected) == (8, 8, [], [], [])
    assert (total.due, total.published, total.skipped, total.adds_up) == (4, 4, 0, True)
    assert total.outcomes == {"ok": 8}


def test_one_result_is_missing() -> None:
    total = reconcile(observe(second=DUE_TIMES[1:]))

    assert total.missing == [("second", NOON)]
    assert total.present == 7


def test_all_results_of_a_model_are_missing() -> None:
    total = reconcile(observe(first=[]))

    assert total.missing == [("first", due_at) for due_at in DUE_TIMES]


def test_a_result_is_stored_twice() -> None:
    total = reconcile(observe(first=[*DUE_TIMES, NOON]))

    assert total.twice == [("first", NOON)]
    assert total.present == 8


def test_skipped_due_times_need_no_results_and_add_up() -> None:
    total = reconcile(observe(published=[NOON, DUE_TIMES[3]], skipped=2, first=[NOON, DUE_TIMES[3]], second=DUE_TIMES))

    assert (total.expected, total.present, total.missing, total.adds_up) == (4, 4, [], True)
    assert total.of_skipped == 2


def test_a_due_time_neither_published_nor_skipped_does_not_add_up() -> None:
    total = reconcile(observe(published=DUE_TIMES[1:], first=DUE_TIMES[1:], second=DUE_TIMES[1:]))

    assert not total.adds_up
    assert total.missing == []


def test_the_last_due_time_is_expected_even_if_it_was_not_published() -> None:
    total = reconcile(observe(published=DUE_TIMES[:3], skipped=1, first=DUE_TIMES[:3], second=DUE_TIMES[:3]))

    assert total.missing == [("first", DUE_TIMES[3]), ("second", DUE_TIMES[3])]


def test_results_of_other_due_times_and_models_are_unexpected() -> None:
    moved = StoredResult(score=NOON, due_at=DUE_TIMES[1], calculated_at=NOON, outcome="ok")
    between = NOON + timedelta(seconds=30)
    observations = Observations(
        due_times=DUE_TIMES[:1],
        published={UTC_SPEC: [NOON]},
        skipped=0,
        models={UTC_SPEC: ["first"]},
        results={"first": [moved, result(between)], "unknown": [result(NOON)]},
    )

    assert sorted(reconcile(observations).unexpected) == [("first", NOON), ("first", between), ("unknown", NOON)]


def test_each_cron_spec_has_its_own_due_times() -> None:
    observations = Observations(
        due_times=DUE_TIMES[:2],
        published={UTC_SPEC: DUE_TIMES[:2], INDIAN_SPEC: [DUE_TIMES[1]]},
        skipped=1,
        models={UTC_SPEC: ["first"], INDIAN_SPEC: ["second"]},
        results={
            "first": [result(due_at) for due_at in DUE_TIMES[:2]],
            "second": [result(DUE_TIMES[1], "error: why")],
        },
    )
    total = reconcile(observations)

    assert (total.present, total.missing, total.due, total.published, total.adds_up) == (3, [], 4, 3, True)
    assert total.outcomes == {"ok": 2, "error: why": 1}


def test_results_lost_with_data_are_not_missing() -> None:
    total = reconcile(observe(first=DUE_TIMES[1:], second=DUE_TIMES[2:], losable=[NOON]))

    assert total.lost == [("first", NOON), ("second", NOON)]
    assert total.missing == [("second", DUE_TIMES[1])]


def test_losable_due_times_depend_on_kinds_and_order_of_losses() -> None:
    timeline = Timeline([Jump(NOON, timedelta(0))])
    at = DUE_TIMES[2] + timedelta(seconds=5)

    def losable(*kinds: LossKind) -> set[datetime]:
        losses = [DataLoss(kind, at + timedelta(seconds=number)) for number, kind in enumerate(kinds)]
        return losable_due_times(observe(), timeline, losses).get(UTC_SPEC, set())

    assert losable(LossKind.REDIS_EMPTIED) == set(DUE_TIMES[:2])  # the latest one is published again
    assert losable(LossKind.REDIS_TRUNCATED) == set()
    assert losable(LossKind.TABLES_EMPTIED) == set()
    # There is no record of what was published.
    assert losable(LossKind.TABLES_EMPTIED, LossKind.REDIS_TRUNCATED) == set(DUE_TIMES[:3])
    assert losable(LossKind.REDIS_TRUNCATED, LossKind.TABLES_EMPTIED) == set()


def test_single_run_models_have_one_result() -> None:
    single_runs = {"in time": NOON, "absent": DUE_TIMES[1], "again": NOON}
    results = {"in time": [result(NOON)], "again": [result(NOON), result(DUE_TIMES[1])]}
    observations = Observations(
        due_times=DUE_TIMES[:1], published={}, skipped=0, models={}, results=results, single_runs=single_runs
    )

    total = reconcile(observations)

    assert (total.expected, total.present) == (3, 2)
    assert total.missing == [("absent", DUE_TIMES[1])]
    assert total.unexpected == [("again", DUE_TIMES[1])]
