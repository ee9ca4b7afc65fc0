"""Results beside keys of other types, invalid counters, and results of a clock that was ahead."""

from datetime import datetime, timedelta
from typing import Any

import pytest
import redis

from core.results.keys import COUNTS_KEY, FAILING_KEY, confusion_key, results_key
from core.results.models import Result
from core.results.repository import ResultStore
from tests.support.databases import MODEL, OTHER, model_ids
from tests.support.workers import NOON


def make_result(model_id: str = MODEL, due_at: datetime = NOON, **values: Any) -> Result:
    fields: dict[str, Any] = {"calculated_at": due_at, "status": "ok", "accuracy": 1.0, "samples": 1}
    return Result(model_id, due_at, **(fields | values))


def test_key_of_another_type_affects_only_its_model(
    redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    ids = list(model_ids(5))
    for name in (results_key(ids[1]), confusion_key(ids[3])):
        redis_client.xadd(name, {"a": "b"})
    store = ResultStore(redis_client)
    assert store.missing(ids, NOON) == ids
    assert store.latest_of(ids) == [None] * 5
    assert store.history(ids[1], None, None, limit=5, newest_first=True) == []
    assert store.latest_confusion(ids[3]) is None

    store.save([make_result(model_id) for model_id in ids])

    assert [result and result.due_at for result in store.latest_of(ids)] == [NOON] * 5
    assert f"deleted Redis key of another type than expected: {results_key(ids[1])}" in caplog.text


@pytest.mark.parametrize("name", [FAILING_KEY, COUNTS_KEY])
def test_shared_key_of_another_type_is_replaced(redis_client: redis.Redis, name: str) -> None:
    redis_client.set(name, "junk")
    store = ResultStore(redis_client)
    assert store.totals().failing == store.count_failing() == 0
    assert store.failing(None, 5) == []
    assert store.which_fail([MODEL]) == [False]

    store.save([make_result(status="no_data", accuracy=None), make_result(OTHER)])

    assert store.totals().added == {"ok": 1, "no_data": 1, "error": 0}
    assert store.which_fail([MODEL, OTHER]) == [True, False]


def test_counters_that_are_no_numbers_start_at_zero(redis_client: redis.Redis) -> None:
    redis_client.hset(COUNTS_KEY, mapping={"ok": "x", "error": b"\xff", "no_data": "1.5"})
    store = ResultStore(redis_client)
    assert store.totals().added == {"ok": 0, "no_data": 0, "error": 0}

    store.save([make_result(), make_result(OTHER, status="error", accuracy=None)])

    assert store.totals().added == {"ok": 1, "no_data": 0, "error": 1}


def test_trimmed_result_is_neither_added_nor_counted_again(redis_client: redis.Redis) -> None:
    store = ResultStore(redis_client, history=3)
    due_times = [NOON + timedelta(minutes=minute) for minute in range(5)]
    store.save(make_result(due_at=due_at) for due_at in due_times)

    store.save([make_result(due_at=due_times[0]), make_result(due_at=due_times[1])])

    history = store.history(MODEL, None, None, limit=10, newest_first=False)
    assert [result.due_at for result in history] == due_times[2:]
    assert store.totals().added["ok"] == 5


def test_results_of_a_clock_that_was_ahead_do_not_hide_a_failing_model(redis_client: redis.Redis) -> None:
    """They stay until an operator removes them, since a clock that is behind for a short time must cost no result."""
    store = ResultStore(redis_client)
    tomorrow = NOON + timedelta(days=1)
    store.save([make_result(due_at=NOON - timedelta(minutes=1))])
    store.save([make_result(due_at=tomorrow, status="no_data", accuracy=None)])
    assert store.which_fail([MODEL]) == [True]

    store.save([make_result(status="error", accuracy=None)])
    assert [failure.since for failure in store.failing(None, 5)] == [NOON.timestamp()]
    store.save([make_result(due_at=NOON + timedelta(minutes=1))])
    assert store.which_fail([MODEL]) == [False]
    assert len(store.history(MODEL, None, None, limit=10, newest_first=True)) == 4

    redis_client.zremrangebyscore(results_key(MODEL), f"({(NOON + timedelta(minutes=2)).timestamp()}", "+inf")
    latest = store.latest(MODEL)
    assert latest is not None
    assert latest.due_at == NOON + timedelta(minutes=1)
