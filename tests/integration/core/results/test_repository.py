"""The results in Redis."""

import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from core.metrics.confusion_matrix import MAX_LABEL_LENGTH, MAX_LABELS, ConfusionMatrix
from core.results import codec, keys
from core.results.codec import decode_result, encode_result
from core.results.models import (
    NO_RESULTS,
    Failure,
    LatestConfusion,
    NewestRowVersion,
    RecentResults,
    Result,
    ResultTotals,
)
from core.results.repository import ResultStore
from tests.support.databases import MODEL, OTHER, model_ids

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
FULL = Result(
    MODEL, NOON, NOON + timedelta(milliseconds=8), "ok", 0.9533333333333334, 150, 42,
    datetime(2026, 11, 16, 6, 0, 0, 123456, tzinfo=UTC),
)  # fmt: skip
EMPTY = Result(MODEL, NOON, NOON, "no_data", error="the model has no row in results")
CONFUSION = ConfusionMatrix(["cat", "dog", None], [[70, 1, 0], [2, 60, 3], [1, 0, 13]])
DETAILED = replace(FULL, confusion=CONFUSION, row_version="7001")
SEEN = NewestRowVersion(MODEL, 42, datetime(2026, 11, 16, 6, 0, 0, 123456, tzinfo=UTC), "7001")
LATER = NOON + timedelta(minutes=1)


@pytest.mark.parametrize(
    "result", [FULL, EMPTY, replace(FULL, unchanged=True), replace(FULL, due_at=NOON + timedelta(milliseconds=123))]
)
def test_what_is_read_is_what_was_written(redis_client: redis.Redis, result: Result) -> None:
    assert decode_result(MODEL, encode_result(result)) == result

    ResultStore(redis_client).save([result])

    assert ResultStore(redis_client).latest(MODEL) == result


@pytest.mark.parametrize("accuracy", ["NaN", "1e999", "-0.1", "1.1"])
def test_an_accuracy_that_is_none_is_not_read(redis_client: redis.Redis, accuracy: str) -> None:
    """JSON has no NaN, and what the API says would be no JSON either; Python reads it all the same."""
    redis_client.zadd(keys.results_key(MODEL), {f"[1764000000000,1,0,{accuracy},9]": 1764000000.0})

    assert ResultStore(redis_client).recent_of([MODEL], 1) == [RecentResults(None, [None])]


def test_it_is_shown_as_documented() -> None:
    assert FULL.as_dict() == {
        "model_id": MODEL,
        "due_at": "2026-11-24T12:00:00.000Z",
        "calculated_at": "2026-11-24T12:00:00.008Z",
        "status": "ok",
        "metrics": {"accuracy": 0.9533333333333334},
        "samples": 150,
        "result_id": 42,
        "data_timestamp": "2026-11-16T06:00:00.123456Z",
        "error": None,
        "unchanged": False,
    }


def test_there_is_none_before_the_first(redis_client: redis.Redis) -> None:
    assert ResultStore(redis_client).latest(MODEL) is None


def test_the_latest_of_many_come_in_the_order_in_which_they_were_asked_for(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)
    newer = replace(FULL, due_at=NOON + timedelta(minutes=1))
    other = replace(EMPTY, model_id=OTHER)
    kept.save([FULL, newer, other])

    assert kept.latest_of(["00000000-0000-0000-0000-000000000000", OTHER, MODEL]) == [None, other, newer]
    assert kept.latest_of([]) == []


def test_the_first_result_of_a_moment_counts(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)

    kept.save([FULL])
    kept.save([replace(FULL, accuracy=0.1), replace(FULL, accuracy=0.2, calculated_at=NOON)])

    assert kept.latest(MODEL) == FULL
    assert redis_client.zcard(keys.results_key(MODEL)) == 1


def test_the_first_counts_among_many_at_once(redis_client: redis.Redis) -> None:
    def save(accuracy: float) -> None:
        ResultStore(redis_client).save(
            replace(FULL, due_at=NOON + timedelta(minutes=minute), accuracy=accuracy) for minute in range(50)
        )

    threads = [threading.Thread(target=save, args=[number / 10]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert redis_client.zcard(keys.results_key(MODEL)) == 50
    assert ResultStore(redis_client).totals().added["ok"] == 50


def test_a_late_result_of_an_earlier_moment_is_not_the_latest(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)

    kept.save([FULL, replace(EMPTY, due_at=NOON - timedelta(minutes=1))])

    assert kept.latest(MODEL) == FULL
    assert redis_client.zcard(keys.results_key(MODEL)) == 2
    assert redis_client.zcard(keys.FAILING_KEY) == 0


def test_the_latest_of_many_come_in_the_order_of_the_question(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)
    other = replace(FULL, model_id=OTHER, due_at=NOON + timedelta(minutes=1))
    kept.save([FULL, replace(other, due_at=NOON), other])

    assert kept.latest_of([OTHER, model_ids(1)[0], MODEL]) == [other, None, FULL]
    assert kept.latest_of([]) == []


def test_the_latest_figures_of_many_come_newest_first(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)
    first, second, third = (
        replace(FULL, due_at=NOON + timedelta(minutes=minute), accuracy=minute / 4) for minute in range(3)
    )
    other = replace(EMPTY, model_id=OTHER)
    kept.save([first, second, third, other])
    redis_client.zadd(keys.results_key(OTHER), {"no result": 0.0, "[1, 2, 0, true]": 1.0})

    assert kept.recent_of([OTHER, model_ids(1)[0], MODEL], 3) == [
        RecentResults(other, [None, None, None]),
        NO_RESULTS,
        RecentResults(third, [0.5, 0.25, 0.0]),
    ]
    assert kept.recent_of([], 2) == []


def test_a_confusion_matrix_is_kept_beside_the_result(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client, ttl_days=2)
    assert kept.latest_confusion(MODEL) is None

    kept.save([DETAILED])

    assert kept.latest_confusion(MODEL) == LatestConfusion(NOON, CONFUSION)
    assert kept.latest_confusion(OTHER) is None
    assert 2 * 24 * 3600 - 10 < redis_client.ttl(keys.confusion_key(MODEL)) <= 2 * 24 * 3600
    assert encode_result(DETAILED) == encode_result(FULL)
    redis_client.set(keys.confusion_key(OTHER), '[1764000000000,["cat"],[[1]]]')
    assert kept.latest_confusion(OTHER) is None  # of an earlier version, until the model's next result
    assert DETAILED.as_dict() == FULL.as_dict()


def test_only_a_newer_result_changes_the_confusion_matrix(redis_client: redis.Redis) -> None:
    """Neither a late one of an earlier moment, good or bad, nor a second one of the same."""
    kept = ResultStore(redis_client)
    other = ConfusionMatrix(["cat"], [[1]])
    kept.save([DETAILED])

    kept.save([replace(DETAILED, confusion=other), replace(EMPTY, due_at=NOON)])
    kept.save(replace(result, due_at=NOON - timedelta(minutes=n)) for n, result in enumerate([DETAILED, EMPTY], 1))
    assert kept.latest_confusion(MODEL) == LatestConfusion(NOON, CONFUSION)

    kept.save([replace(DETAILED, due_at=NOON + timedelta(minutes=1), confusion=other)])
    assert kept.latest_confusion(MODEL) == LatestConfusion(NOON + timedelta(minutes=1), other)


def test_the_result_of_an_unchanged_row_is_repeated(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client, ttl_days=2)
    accuracy = 0.1 + 0.2  # which takes all digits
    kept.save([replace(DETAILED, accuracy=accuracy)])
    for name in (keys.results_key(MODEL), keys.confusion_key(MODEL)):
        redis_client.expire(name, 10)

    repeated = kept.save_unchanged([SEEN, SEEN._replace(model_id=OTHER)], LATER, LATER + timedelta(milliseconds=5))

    assert repeated == [MODEL]
    latest = replace(
        FULL, due_at=LATER, calculated_at=LATER + timedelta(milliseconds=5), accuracy=accuracy, unchanged=True
    )
    assert kept.latest(MODEL) == latest
    assert kept.latest_confusion(MODEL) == LatestConfusion(LATER, CONFUSION)
    assert kept.totals().added == {"ok": 2, "no_data": 0, "error": 0}
    for name in (keys.results_key(MODEL), keys.confusion_key(MODEL)):
        assert redis_client.ttl(name) > 10
    assert kept.save_unchanged([SEEN], LATER + timedelta(minutes=1), LATER) == [MODEL]
    assert redis_client.zcard(keys.results_key(MODEL)) == 3
    assert kept.latest_of([OTHER]) == [None]


@pytest.mark.parametrize(
    "seen",
    [
        SEEN._replace(row_version="7002"),
        SEEN._replace(row_version="17001"),
        SEEN._replace(row_version="001"),
        SEEN._replace(row_version=""),
        SEEN._replace(result_id=43),
        SEEN._replace(result_id=2),
        SEEN._replace(timestamp=SEEN.timestamp + timedelta(microseconds=1)),
    ],
)
def test_that_of_another_row_is_not(redis_client: redis.Redis, seen: NewestRowVersion) -> None:
    kept = ResultStore(redis_client)
    kept.save([DETAILED])

    assert kept.save_unchanged([seen], LATER, LATER) == []
    assert kept.latest(MODEL) == FULL


@pytest.mark.parametrize("due_at", [NOON, NOON - timedelta(milliseconds=1), NOON - timedelta(days=1)])
def test_nor_for_a_moment_that_is_not_later(redis_client: redis.Redis, due_at: datetime) -> None:
    kept = ResultStore(redis_client)
    kept.save([DETAILED])

    assert kept.save_unchanged([SEEN], due_at, NOON) == []
    assert redis_client.zcard(keys.results_key(MODEL)) == 1


def test_nor_one_that_was_not_ok_or_is_not_the_latest(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)
    kept.save([DETAILED, replace(EMPTY, due_at=LATER, row_version="7001")])
    after = LATER + timedelta(minutes=1)

    assert kept.save_unchanged([SEEN], after, after) == []

    kept.save([replace(DETAILED, due_at=after)])
    redis_client.zremrangebyrank(keys.results_key(MODEL), -1, -1)
    assert kept.save_unchanged([SEEN], after + timedelta(minutes=1), after) == []


@pytest.mark.parametrize("junk", ["", "[", "no detail", '[1,"1.7001"]', "[1764000000000,[],[]]"])
def test_nor_what_somebody_else_wrote(redis_client: redis.Redis, junk: str) -> None:
    kept = ResultStore(redis_client)
    kept.save([DETAILED])
    redis_client.set(keys.confusion_key(MODEL), junk)
    redis_client.zadd(keys.results_key(MODEL), {junk: 2e9})

    assert kept.save_unchanged([SEEN], LATER, LATER) == []


def test_an_unchanged_row_that_is_to_be_scored_in_another_way_is_scored(
    redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = ResultStore(redis_client)
    kept.save([DETAILED])

    monkeypatch.setattr(codec, "SCORING_VERSION", codec.SCORING_VERSION + 1)

    assert kept.save_unchanged([SEEN], LATER, LATER) == []


def test_repeated_results_are_as_many_as_are_kept(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client, history=3)
    kept.save([DETAILED])

    for minute in range(1, 6):
        assert kept.save_unchanged([SEEN], NOON + timedelta(minutes=minute), NOON + timedelta(minutes=minute)) == [
            MODEL
        ]

    found = kept.newest(MODEL, None, 10)
    assert [it and it.due_at.minute for it in found] == [5, 4, 3]


def test_many_are_saved_and_repeated_in_their_places(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)
    ids = model_ids(250)
    kept.save(replace(DETAILED, model_id=model_id) for model_id in ids[::2])

    repeated = kept.save_unchanged([SEEN._replace(model_id=model_id) for model_id in ids], LATER, LATER)

    assert repeated == ids[::2]
    assert {it.model_id for it in kept.latest_of(ids) if it and it.due_at == LATER} == set(ids[::2])


def test_no_confusion_matrix_stands_beside_a_failure(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)
    kept.save([DETAILED])

    kept.save([replace(EMPTY, due_at=NOON + timedelta(minutes=1))])

    assert kept.latest_confusion(MODEL) is None
    assert not redis_client.exists(keys.confusion_key(MODEL))


@pytest.mark.parametrize(("character", "kilobytes"), [("x", 5), ("é", 9), ("\U0001f600", 14)])
def test_the_largest_confusion_matrix_is_small(redis_client: redis.Redis, character: str, kilobytes: int) -> None:
    largest = ConfusionMatrix([character * MAX_LABEL_LENGTH] * MAX_LABELS, [[1_000_000] * MAX_LABELS] * MAX_LABELS)

    ResultStore(redis_client).save([replace(FULL, confusion=largest)])

    assert redis_client.strlen(keys.confusion_key(MODEL)) <= kilobytes * 1000
    assert ResultStore(redis_client).latest_confusion(MODEL) == LatestConfusion(NOON, largest)


def test_failing_models_are_those_whose_latest_result_is_not_ok(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)

    kept.save([EMPTY])
    assert redis_client.zrange(keys.FAILING_KEY, 0, -1) == [MODEL.encode()]
    kept.save([replace(FULL, due_at=NOON + timedelta(minutes=1))])
    assert redis_client.zrange(keys.FAILING_KEY, 0, -1) == []


def test_results_are_counted_by_status_once_each_and_for_good(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client, history=1)
    assert kept.totals() == ResultTotals({"ok": 0, "no_data": 0, "error": 0}, 0)
    first = [replace(FULL, due_at=NOON + timedelta(minutes=minute)) for minute in range(3)]

    kept.save([*first, replace(EMPTY, model_id=OTHER)])
    kept.save([first[-1], replace(EMPTY, model_id=OTHER)])

    assert kept.totals() == ResultTotals({"ok": 3, "no_data": 1, "error": 0}, 1)


def test_only_so_many_are_kept_and_only_for_so_long(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client, history=3, ttl_days=2)

    kept.save(replace(FULL, due_at=NOON + timedelta(minutes=minute)) for minute in range(5))

    members: Any = redis_client.zrange(keys.results_key(MODEL), 0, -1)
    assert redis_client.zcard(keys.results_key(MODEL)) == 3
    assert decode_result(MODEL, members[0]).due_at == NOON + timedelta(minutes=2)
    assert 2 * 24 * 3600 - 10 < redis_client.ttl(keys.results_key(MODEL)) <= 2 * 24 * 3600


def test_an_error_is_kept_short(redis_client: redis.Redis) -> None:
    ResultStore(redis_client).save([replace(EMPTY, error="x" * 10_000)])

    latest = ResultStore(redis_client).latest(MODEL)
    assert latest is not None
    assert latest.error == "x" * codec.MAX_ERROR_LENGTH


def test_it_takes_at_most_200_bytes(redis_client: redis.Redis) -> None:
    ResultStore(redis_client).save(replace(FULL, due_at=NOON + timedelta(minutes=minute)) for minute in range(1000))

    assert redis_client.memory_usage(keys.results_key(MODEL), samples=0) / 1000 <= 200  # type: ignore[operator]


def test_failing_models_come_page_by_page_the_latest_first(redis_client: redis.Redis) -> None:
    """Also those of one moment, where the place itself has gone, and in the order of bytes."""
    chance = random.Random(3)
    failures = [Failure(chance.choice([1.0, 1764000000.123, 1764000060.0]), f"{n:x}-{n}") for n in range(200)]
    redis_client.zadd(keys.FAILING_KEY, {failure.model_id: failure.since for failure in failures})
    failures.sort(reverse=True)
    kept = ResultStore(redis_client)

    for start in range(0, 200, 7):
        redis_client.zrem(keys.FAILING_KEY, failures[start].model_id)

        found = kept.failing(failures[start], 10)

        assert found == failures[start + 1 : start + 11]
        redis_client.zadd(keys.FAILING_KEY, {failures[start].model_id: failures[start].since})
    assert kept.failing(None, 500) == failures
    assert kept.failing(Failure(0.5, MODEL), 10) == []


def test_a_model_that_fails_again_keeps_its_place(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)
    kept.save([EMPTY])
    place = kept.failing(None, 10)

    kept.save([replace(EMPTY, due_at=NOON + timedelta(minutes=1))])
    again = kept.failing(None, 10)
    kept.save([replace(FULL, due_at=NOON + timedelta(minutes=2))])
    kept.save([replace(EMPTY, due_at=NOON + timedelta(minutes=3))])

    assert place == again == [Failure(NOON.timestamp(), MODEL)]
    assert kept.failing(None, 10) == [Failure(NOON.timestamp() + 180, MODEL)]


def test_it_says_which_models_fail(redis_client: redis.Redis) -> None:
    kept = ResultStore(redis_client)
    kept.save([EMPTY, replace(FULL, model_id=OTHER)])

    assert kept.count_failing() == 1
    assert kept.which_fail([OTHER, MODEL]) == [False, True]
    assert kept.which_fail([]) == []
