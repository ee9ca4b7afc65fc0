"""The arithmetic of the chaos run: what it calls present, missing, twice, skipped and lost."""

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from core.cron.spec import CronSpec
from tests.chaos import losses
from tests.chaos.clock import MINUTE, Step, Timeline, full_minutes
from tests.chaos.evidence import excused
from tests.chaos.ledger import Evidence, Result, count
from tests.chaos.world import Loss

UTC_PAIR, INDIA = CronSpec("* * * * *", "UTC"), CronSpec("* * * * *", "Asia/Kolkata")
NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
MOMENTS = [NOON + number * MINUTE for number in range(4)]


def result(moment: datetime, outcome: str = "ok") -> Result:
    return Result(moment, moment, moment + timedelta(seconds=1), outcome)


def evidence(
    fired: Collection[datetime] = MOMENTS,
    skipped: int = 0,
    first: Collection[datetime] = MOMENTS,
    second: Collection[datetime] = MOMENTS,
    lost: Collection[datetime] = (),
) -> Evidence:
    """Two models of one pair, with results of these moments."""
    return Evidence(
        passed=MOMENTS,
        fired={UTC_PAIR: fired},
        skipped=skipped,
        models={UTC_PAIR: ["first", "second"]},
        results={"first": [result(moment) for moment in first], "second": [result(moment) for moment in second]},
        lost={UTC_PAIR: lost},
    )


def test_all_is_there() -> None:
    total = count(evidence())

    assert (total.promised, total.present, total.missing, total.twice, total.strange) == (8, 8, [], [], [])
    assert (total.moments, total.sent, total.skipped, total.adds_up) == (4, 4, 0, True)
    assert total.outcomes == {"ok": 8}


def test_one_result_is_missing() -> None:
    total = count(evidence(second=MOMENTS[1:]))

    assert total.missing == [("second", NOON)]
    assert total.present == 7


def test_a_model_without_any_result_misses_all() -> None:
    total = count(evidence(first=[]))

    assert total.missing == [("first", moment) for moment in MOMENTS]


def test_a_result_is_there_twice() -> None:
    total = count(evidence(first=[*MOMENTS, NOON]))

    assert total.twice == [("first", NOON)]
    assert total.present == 8


def test_skipped_moments_promise_nothing_and_add_up() -> None:
    total = count(evidence(fired=[NOON, MOMENTS[3]], skipped=2, first=[NOON, MOMENTS[3]], second=MOMENTS))

    assert (total.promised, total.present, total.missing, total.adds_up) == (4, 4, [], True)
    assert total.late_but_skipped == 2


def test_a_moment_neither_sent_nor_skipped_does_not_add_up() -> None:
    total = count(evidence(fired=MOMENTS[1:], first=MOMENTS[1:], second=MOMENTS[1:]))

    assert not total.adds_up
    assert total.missing == []


def test_the_last_moment_is_promised_even_if_nobody_sent_it() -> None:
    total = count(evidence(fired=MOMENTS[:3], skipped=1, first=MOMENTS[:3], second=MOMENTS[:3]))

    assert total.missing == [("first", MOMENTS[3]), ("second", MOMENTS[3])]


def test_results_that_nobody_may_expect() -> None:
    moved = Result(score=NOON, due_at=MOMENTS[1], calculated_at=NOON, outcome="ok")
    later = NOON + timedelta(seconds=30)
    seen = Evidence(
        passed=MOMENTS[:1],
        fired={UTC_PAIR: [NOON]},
        skipped=0,
        models={UTC_PAIR: ["first"]},
        results={"first": [moved, result(later)], "stranger": [result(NOON)]},
    )

    assert sorted(count(seen).strange) == [("first", NOON), ("first", later), ("stranger", NOON)]


def test_each_pair_has_moments_of_its_own() -> None:
    seen = Evidence(
        passed=MOMENTS[:2],
        fired={UTC_PAIR: MOMENTS[:2], INDIA: [MOMENTS[1]]},
        skipped=1,
        models={UTC_PAIR: ["first"], INDIA: ["second"]},
        results={"first": [result(moment) for moment in MOMENTS[:2]], "second": [result(MOMENTS[1], "error: why")]},
    )
    total = count(seen)

    assert (total.present, total.missing, total.moments, total.sent, total.adds_up) == (3, [], 4, 3, True)
    assert total.outcomes == {"ok": 2, "error: why": 1}


def test_what_was_lost_with_the_data_is_not_missing() -> None:
    total = count(evidence(first=MOMENTS[1:], second=MOMENTS[2:], lost=[NOON]))

    assert total.lost == [("first", NOON), ("second", NOON)]
    assert total.missing == [("second", MOMENTS[1])]


def test_what_a_loss_of_data_excuses() -> None:
    timeline = Timeline([Step(NOON, timedelta(0))])
    at = MOMENTS[2] + timedelta(seconds=5)

    def lost(*kinds: str) -> set[datetime]:
        happened = [Loss(kind, at + timedelta(seconds=number)) for number, kind in enumerate(kinds)]
        return excused(evidence(), timeline, happened).get(UTC_PAIR, set())

    assert lost(losses.EMPTIED) == set(MOMENTS[:2])  # the latest comes back
    assert lost(losses.SHORTENED) == set()
    assert lost(losses.TRUNCATED) == set()
    assert lost(losses.TRUNCATED, losses.SHORTENED) == set(MOMENTS[:3])  # nobody knows any more what was sent
    assert lost(losses.SHORTENED, losses.TRUNCATED) == set()


def test_the_minutes_between_two_times() -> None:
    assert full_minutes(NOON, NOON + timedelta(seconds=59)) == []
    assert full_minutes(NOON - timedelta(seconds=1), MOMENTS[1]) == MOMENTS[:2]


def test_the_timeline_gives_real_seconds_across_jumps() -> None:
    second = timedelta(seconds=1)
    jumps = [Step(NOON + 3 * second, 57 * second), Step(NOON + 8 * second, 112 * second)]
    timeline = Timeline(jumps)  # to 12:01 after 3 seconds, and to 12:02 after 8

    assert timeline.real(NOON + second) == NOON + second
    assert timeline.real(NOON + 30 * second) == NOON + 3 * second  # jumped over
    assert timeline.real(MOMENTS[1]) == NOON + 3 * second
    assert timeline.real(MOMENTS[1] + second) == NOON + 4 * second
    assert timeline.real(MOMENTS[2]) == NOON + 8 * second
    assert timeline.seconds(MOMENTS[1], MOMENTS[2] + second) == 6


def test_newcomer_runs_once() -> None:
    newcomers = {"in time": NOON, "absent": MOMENTS[1], "again": NOON}
    results = {"in time": [result(NOON)], "again": [result(NOON), result(MOMENTS[1])]}
    seen = Evidence(passed=MOMENTS[:1], fired={}, skipped=0, models={}, results=results, newcomers=newcomers)

    total = count(seen)

    assert (total.promised, total.present) == (3, 2)
    assert total.missing == [("absent", MOMENTS[1])]
    assert total.strange == [("again", MOMENTS[1])]
