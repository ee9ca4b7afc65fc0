"""Results in Redis."""

import random
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis

from core.metrics.confusion_matrix import MAX_LABEL_LENGTH, MAX_LABELS, ConfusionMatrix
from core.results import codec, keys
from core.results.codec import SCORING_VERSION, decode_result, encode_result
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
OK_RESULT = Result(
    MODEL, NOON, NOON + timedelta(milliseconds=8), "ok", 0.9533333333333334, 150, 42,
    datetime(2026, 11, 16, 6, 0, 0, 123456, tzinfo=UTC),
)  # fmt: skip
NO_DATA_RESULT = Result(MODEL, NOON, NOON, "no_data", error="the model has no row in results")
CONFUSION = ConfusionMatrix(["cat", "dog", None], [[70, 1, 0], [2, 60, 3], [1, 0, 13]])
WITH_CONFUSION = replace(OK_RESULT, confusion=CONFUSION, row_version="7001")
UNCHANGED_ROW = NewestRowVersion(MODEL, 42, datetime(2026, 11, 16, 6, 0, 0, 123456, tzinfo=UTC), "7001")
LATER = NOON + timedelta(minutes=1)


@pytest.mark.parametrize(
    "result",
    [
        OK_RESULT,
        NO_DATA_RESULT,
        replace(OK_RESULT, unchanged=True),
        replace(OK_RESULT, due_at=NOON + timedelta(milliseconds=123)),
    ],
)
def test_saved_result_is_read_unchanged(redis_client: redis.Redis, result: Result) -> None:
    assert decode_result(MODEL, encode_result(result)) == result

    ResultStore(redis_client).save([result])

    assert ResultStore(redis_client).latest(MODEL) == result


@pytest.mark.parametrize("accuracy", ["NaN", "1e999", "-0.1", "1.1"])
def test_result_with_invalid_accuracy_is_unreadable(redis_client: redis.Redis, accuracy: str) -> None:
    """JSON has no NaN, so the API's response would be invalid JSON; Python's parser accepts it."""
    redis_client.zadd(keys.results_key(MODEL), {f"[1764000000000,1,0,{accuracy},9]": 1764000000.0})

    assert ResultStore(redis_client).recent_of([MODEL], 1) == [RecentResults(None, [None])]


def test_result_has_the_documented_json_form() -> None:
    assert OK_RESULT.as_dict() == {
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


def test_model_without_results_has_no_latest_result(redis_client: redis.Redis) -> None:
    assert ResultStore(redis_client).latest(MODEL) is None


def test_latest_results_are_in_the_order_of_the_requested_models(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    newer = replace(OK_RESULT, due_at=NOON + timedelta(minutes=1))
    other = replace(NO_DATA_RESULT, model_id=OTHER)
    store.save([OK_RESULT, newer, other])

    assert store.latest_of(["00000000-0000-0000-0000-000000000000", OTHER, MODEL]) == [None, other, newer]
    assert store.latest_of([]) == []


def test_first_result_of_a_due_time_wins(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)

    store.save([OK_RESULT])
    store.save([replace(OK_RESULT, accuracy=0.1), replace(OK_RESULT, accuracy=0.2, calculated_at=NOON)])

    assert store.latest(MODEL) == OK_RESULT
    assert redis_client.zcard(keys.results_key(MODEL)) == 1


def test_first_result_of_a_due_time_wins_among_concurrent_writers(redis_client: redis.Redis) -> None:
    def save(accuracy: float) -> None:
        ResultStore(redis_client).save(
            replace(OK_RESULT, due_at=NOON + timedelta(minutes=minute), accuracy=accuracy) for minute in range(50)
        )

    threads = [threading.Thread(target=save, args=[number / 10]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert redis_client.zcard(keys.results_key(MODEL)) == 50
    assert ResultStore(redis_client).totals().added["ok"] == 50


def test_late_result_of_an_earlier_due_time_is_not_the_latest(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)

    store.save([OK_RESULT, replace(NO_DATA_RESULT, due_at=NOON - timedelta(minutes=1))])

    assert store.latest(MODEL) == OK_RESULT
    assert redis_client.zcard(keys.results_key(MODEL)) == 2
    assert redis_client.zcard(keys.FAILING_KEY) == 0


def test_latest_results_of_models_without_any_are_none(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    other = replace(OK_RESULT, model_id=OTHER, due_at=NOON + timedelta(minutes=1))
    store.save([OK_RESULT, replace(other, due_at=NOON), other])

    assert store.latest_of([OTHER, model_ids(1)[0], MODEL]) == [other, None, OK_RESULT]
    assert store.latest_of([]) == []


def test_recent_results_are_newest_first(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    first, second, third = (
        replace(OK_RESULT, due_at=NOON + timedelta(minutes=minute), accuracy=minute / 4) for minute in range(3)
    )
    other = replace(NO_DATA_RESULT, model_id=OTHER)
    store.save([first, second, third, other])
    redis_client.zadd(keys.results_key(OTHER), {"no result": 0.0, "[1, 2, 0, true]": 1.0})

    assert store.recent_of([OTHER, model_ids(1)[0], MODEL], 3) == [
        RecentResults(other, [None, None, None]),
        NO_RESULTS,
        RecentResults(third, [0.5, 0.25, 0.0]),
    ]
    assert store.recent_of([], 2) == []


def test_confusion_matrix_is_saved_beside_the_result(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client, ttl_days=2)
    assert store.latest_confusion(MODEL) is None

    store.save([WITH_CONFUSION])

    assert store.latest_confusion(MODEL) == LatestConfusion(NOON, CONFUSION)
    assert store.latest_confusion(OTHER) is None
    assert 2 * 24 * 3600 - 10 < redis_client.ttl(keys.confusion_key(MODEL)) <= 2 * 24 * 3600
    assert encode_result(WITH_CONFUSION) == encode_result(OK_RESULT)
    redis_client.set(keys.confusion_key(OTHER), '[1764000000000,["cat"],[[1]]]')
    assert store.latest_confusion(OTHER) is None  # of an earlier version; the next result of the model replaces it
    assert WITH_CONFUSION.as_dict() == OK_RESULT.as_dict()


def test_confusion_matrix_is_replaced_only_by_a_later_result(redis_client: redis.Redis) -> None:
    """Not by a late result of an earlier due time, nor by a second one of the same due time."""
    store = ResultStore(redis_client)
    other = ConfusionMatrix(["cat"], [[1]])
    store.save([WITH_CONFUSION])

    store.save([replace(WITH_CONFUSION, confusion=other), replace(NO_DATA_RESULT, due_at=NOON)])
    store.save(
        replace(result, due_at=NOON - timedelta(minutes=n))
        for n, result in enumerate([WITH_CONFUSION, NO_DATA_RESULT], 1)
    )
    assert store.latest_confusion(MODEL) == LatestConfusion(NOON, CONFUSION)

    store.save([replace(WITH_CONFUSION, due_at=NOON + timedelta(minutes=1), confusion=other)])
    assert store.latest_confusion(MODEL) == LatestConfusion(NOON + timedelta(minutes=1), other)


def test_result_of_an_unchanged_label_row_is_saved_again(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client, ttl_days=2)
    accuracy = 0.1 + 0.2  # needs all digits
    store.save([replace(WITH_CONFUSION, accuracy=accuracy)])
    for name in (keys.results_key(MODEL), keys.confusion_key(MODEL)):
        redis_client.expire(name, 10)

    saved = store.save_unchanged(
        [UNCHANGED_ROW, UNCHANGED_ROW._replace(model_id=OTHER)], LATER, LATER + timedelta(milliseconds=5)
    )

    assert saved == [MODEL]
    latest = replace(
        OK_RESULT, due_at=LATER, calculated_at=LATER + timedelta(milliseconds=5), accuracy=accuracy, unchanged=True
    )
    assert store.latest(MODEL) == latest
    assert store.latest_confusion(MODEL) == LatestConfusion(LATER, CONFUSION)
    assert store.totals().added == {"ok": 2, "no_data": 0, "error": 0}
    for name in (keys.results_key(MODEL), keys.confusion_key(MODEL)):
        assert redis_client.ttl(name) > 10
    assert store.save_unchanged([UNCHANGED_ROW], LATER + timedelta(minutes=1), LATER) == [MODEL]
    assert redis_client.zcard(keys.results_key(MODEL)) == 3
    assert store.latest_of([OTHER]) == [None]


@pytest.mark.parametrize(
    "version",
    [
        UNCHANGED_ROW._replace(row_version="7002"),
        UNCHANGED_ROW._replace(row_version="17001"),
        UNCHANGED_ROW._replace(row_version="001"),
        UNCHANGED_ROW._replace(row_version=""),
        UNCHANGED_ROW._replace(result_id=43),
        UNCHANGED_ROW._replace(result_id=2),
        UNCHANGED_ROW._replace(timestamp=UNCHANGED_ROW.timestamp + timedelta(microseconds=1)),
    ],
)
def test_result_of_another_label_row_is_not_saved_again(redis_client: redis.Redis, version: NewestRowVersion) -> None:
    store = ResultStore(redis_client)
    store.save([WITH_CONFUSION])

    assert store.save_unchanged([version], LATER, LATER) == []
    assert store.latest(MODEL) == OK_RESULT


@pytest.mark.parametrize("due_at", [NOON, NOON - timedelta(milliseconds=1), NOON - timedelta(days=1)])
def test_result_is_not_saved_again_for_a_due_time_that_is_not_later(
    redis_client: redis.Redis, due_at: datetime
) -> None:
    store = ResultStore(redis_client)
    store.save([WITH_CONFUSION])

    assert store.save_unchanged([UNCHANGED_ROW], due_at, NOON) == []
    assert redis_client.zcard(keys.results_key(MODEL)) == 1


def test_result_that_is_not_ok_or_not_the_latest_is_not_saved_again(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    store.save([WITH_CONFUSION, replace(NO_DATA_RESULT, due_at=LATER, row_version="7001")])
    after = LATER + timedelta(minutes=1)

    assert store.save_unchanged([UNCHANGED_ROW], after, after) == []

    store.save([replace(WITH_CONFUSION, due_at=after)])
    redis_client.zremrangebyrank(keys.results_key(MODEL), -1, -1)
    assert store.save_unchanged([UNCHANGED_ROW], after + timedelta(minutes=1), after) == []


@pytest.mark.parametrize("junk", ["", "[", "no detail", '[1,"1.7001"]', "[1764000000000,[],[]]"])
def test_foreign_data_are_not_saved_again(redis_client: redis.Redis, junk: str) -> None:
    store = ResultStore(redis_client)
    store.save([WITH_CONFUSION])
    redis_client.set(keys.confusion_key(MODEL), junk)
    redis_client.zadd(keys.results_key(MODEL), {junk: 2e9})

    assert store.save_unchanged([UNCHANGED_ROW], LATER, LATER) == []


def test_unchanged_label_row_is_scored_again_with_another_scoring_version(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    store.save([WITH_CONFUSION])
    key = keys.confusion_key(MODEL)
    confusion: Any = redis_client.get(key)
    redis_client.set(key, confusion.replace(b'"%d.' % SCORING_VERSION, b'"%d.' % (SCORING_VERSION - 1)))

    assert store.save_unchanged([UNCHANGED_ROW], LATER, LATER) == []


def test_history_of_unchanged_results_is_trimmed(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client, history=3)
    store.save([WITH_CONFUSION])

    for minute in range(1, 6):
        assert store.save_unchanged(
            [UNCHANGED_ROW], NOON + timedelta(minutes=minute), NOON + timedelta(minutes=minute)
        ) == [MODEL]

    newest = store.newest(MODEL, None, 10)
    assert [result and result.due_at.minute for result in newest] == [5, 4, 3]


def test_unchanged_results_are_saved_only_for_models_with_a_result(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    ids = model_ids(250)
    store.save(replace(WITH_CONFUSION, model_id=model_id) for model_id in ids[::2])

    saved = store.save_unchanged([UNCHANGED_ROW._replace(model_id=model_id) for model_id in ids], LATER, LATER)

    assert saved == ids[::2]
    assert {result.model_id for result in store.latest_of(ids) if result and result.due_at == LATER} == set(ids[::2])


def test_failure_deletes_the_confusion_matrix(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    store.save([WITH_CONFUSION])

    store.save([replace(NO_DATA_RESULT, due_at=NOON + timedelta(minutes=1))])

    assert store.latest_confusion(MODEL) is None
    assert not redis_client.exists(keys.confusion_key(MODEL))


@pytest.mark.parametrize(("character", "kilobytes"), [("x", 5), ("é", 9), ("\U0001f600", 14)])
def test_largest_confusion_matrix_fits_into_some_kilobytes(
    redis_client: redis.Redis, character: str, kilobytes: int
) -> None:
    largest = ConfusionMatrix([character * MAX_LABEL_LENGTH] * MAX_LABELS, [[1_000_000] * MAX_LABELS] * MAX_LABELS)

    ResultStore(redis_client).save([replace(OK_RESULT, confusion=largest)])

    assert redis_client.strlen(keys.confusion_key(MODEL)) <= kilobytes * 1000
    assert ResultStore(redis_client).latest_confusion(MODEL) == LatestConfusion(NOON, largest)


def test_failing_models_are_those_whose_latest_result_is_not_ok(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)

    store.save([NO_DATA_RESULT])
    assert redis_client.zrange(keys.FAILING_KEY, 0, -1) == [MODEL.encode()]
    store.save([replace(OK_RESULT, due_at=NOON + timedelta(minutes=1))])
    assert redis_client.zrange(keys.FAILING_KEY, 0, -1) == []


def test_results_are_counted_once_by_status_and_stay_counted_after_trimming(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client, history=1)
    assert store.totals() == ResultTotals({"ok": 0, "no_data": 0, "error": 0}, 0)
    first = [replace(OK_RESULT, due_at=NOON + timedelta(minutes=minute)) for minute in range(3)]

    store.save([*first, replace(NO_DATA_RESULT, model_id=OTHER)])
    store.save([first[-1], replace(NO_DATA_RESULT, model_id=OTHER)])

    assert store.totals() == ResultTotals({"ok": 3, "no_data": 1, "error": 0}, 1)


def test_results_are_limited_in_number_and_expire(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client, history=3, ttl_days=2)

    store.save(replace(OK_RESULT, due_at=NOON + timedelta(minutes=minute)) for minute in range(5))

    members: Any = redis_client.zrange(keys.results_key(MODEL), 0, -1)
    assert redis_client.zcard(keys.results_key(MODEL)) == 3
    assert decode_result(MODEL, members[0]).due_at == NOON + timedelta(minutes=2)
    assert 2 * 24 * 3600 - 10 < redis_client.ttl(keys.results_key(MODEL)) <= 2 * 24 * 3600


def test_error_of_a_result_is_truncated(redis_client: redis.Redis) -> None:
    ResultStore(redis_client).save([replace(NO_DATA_RESULT, error="x" * 10_000)])

    latest = ResultStore(redis_client).latest(MODEL)
    assert latest is not None
    assert latest.error == "x" * codec.MAX_ERROR_LENGTH


def test_result_needs_at_most_200_bytes_of_memory(redis_client: redis.Redis) -> None:
    ResultStore(redis_client).save(
        replace(OK_RESULT, due_at=NOON + timedelta(minutes=minute)) for minute in range(1000)
    )

    assert redis_client.memory_usage(keys.results_key(MODEL), samples=0) / 1000 <= 200  # type: ignore[operator]


def test_failing_models_are_listed_in_pages_latest_first(redis_client: redis.Redis) -> None:
    """Those since the same due time are in byte order, and the model of the position may be removed."""
    rng = random.Random(3)
    failures = [Failure(rng.choice([1.0, 1764000000.123, 1764000060.0]), f"{n:x}-{n}") for n in range(200)]
    redis_client.zadd(keys.FAILING_KEY, {failure.model_id: failure.since for failure in failures})
    failures.sort(reverse=True)
    store = ResultStore(redis_client)

    for start in range(0, 200, 7):
        redis_client.zrem(keys.FAILING_KEY, failures[start].model_id)

        page = store.failing(failures[start], 10)

        assert page == failures[start + 1 : start + 11]
        redis_client.zadd(keys.FAILING_KEY, {failures[start].model_id: failures[start].since})
    assert store.failing(None, 500) == failures
    assert store.failing(Failure(0.5, MODEL), 10) == []


def test_model_that_fails_again_keeps_its_position(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    store.save([NO_DATA_RESULT])
    before = store.failing(None, 10)

    store.save([replace(NO_DATA_RESULT, due_at=NOON + timedelta(minutes=1))])
    after = store.failing(None, 10)
    store.save([replace(OK_RESULT, due_at=NOON + timedelta(minutes=2))])
    store.save([replace(NO_DATA_RESULT, due_at=NOON + timedelta(minutes=3))])

    assert before == after == [Failure(NOON.timestamp(), MODEL)]
    assert store.failing(None, 10) == [Failure(NOON.timestamp() + 180, MODEL)]


def test_which_fail_is_in_the_order_of_the_requested_models(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client)
    store.save([NO_DATA_RESULT, replace(OK_RESULT, model_id=OTHER)])

    assert store.count_failing() == 1
    assert store.which_fail([OTHER, MODEL]) == [False, True]
    assert store.which_fail([]) == []
