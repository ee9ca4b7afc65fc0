"""ResultStore over HTTP: the latest, the latest of many, the history; and 304 for who has them already."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from core.results.models import Result
from core.results.repository import ResultStore
from tests.support.api_responses import next_page_url, problem
from tests.support.databases import MODEL, OTHER, model_ids

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
HISTORY = f"/results/{MODEL}/history"


def result(due_at: datetime = NOON, model_id: str = MODEL) -> Result:
    return Result(model_id, due_at, due_at + 9 * MILLISECOND, "ok", 0.5, 2, 7, NOON)


def save(client: redis.Redis, *results: Result) -> None:
    ResultStore(client).save(results)


@pytest.fixture
def ten(redis_client: redis.Redis) -> list[str]:
    """The moments of ten results, a millisecond apart, the oldest first."""
    results = [result(NOON + n * MILLISECOND) for n in range(10)]
    save(redis_client, *results, result(NOON, OTHER))
    return [str(each.as_dict()["due_at"]) for each in results]


def moments(client: FlaskClient, **query: Any) -> list[str]:
    answer: Any = client.get(HISTORY, query_string={name.rstrip("_"): value for name, value in query.items()})
    assert answer.status_code == 200, answer.text
    return [each["due_at"] for each in answer.json]


def test_the_latest_result_is_shown(client: FlaskClient, redis_client: redis.Redis) -> None:
    save(redis_client, result(NOON - timedelta(minutes=1)), result())

    answer = client.get(f"/results/{MODEL.upper()}")

    assert answer.status_code == 200
    assert answer.json == result().as_dict()


def test_there_is_no_result_before_the_first_run(client: FlaskClient) -> None:
    answer: Any = client.get(f"/results/{MODEL}")

    assert problem(answer) == (404, "not-found")
    assert "has no result yet" in answer.json["detail"]


def test_a_result_without_a_figure_says_why(client: FlaskClient, redis_client: redis.Redis) -> None:
    failed = Result(MODEL, NOON, NOON, "error", error="y_true has nulls")
    save(redis_client, failed)

    answer: Any = client.get(f"/results/{MODEL}")

    assert answer.json == failed.as_dict()
    assert (answer.json["metrics"], answer.json["error"]) == ({"accuracy": None}, "y_true has nulls")


def test_the_latest_of_many_models_come_in_the_order_of_the_question(
    client: FlaskClient, redis_client: redis.Redis
) -> None:
    """Each once, however often and however written its model is there; those without results are named."""
    first, second, none, nothing = model_ids(4)
    save(redis_client, result(NOON, first), result(NOON - MILLISECOND, second), result(NOON, second))
    asked = [second, none, first.upper(), second, nothing, none]

    answer: Any = client.get("/results", query_string={"model_id": asked})

    assert answer.status_code == 200
    assert answer.json == {
        "results": [result(NOON, second).as_dict(), result(NOON, first).as_dict()],
        "missing": [none, nothing],
    }


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ([], "model_id is missing; it is required"),
        ([MODEL, "42"], 'is "42"; write a UUID'),
        ([MODEL, ""], 'is ""; write a UUID'),
        ([f"{MODEL},{OTHER}"], "write a UUID"),
        (model_ids(101), "write at most 100 of them"),
        ([MODEL] * 101, "write at most 100 of them"),
    ],
)
def test_a_wrong_question_for_many_is_refused(client: FlaskClient, asked: list[str], said: str) -> None:
    answer: Any = client.get("/results", query_string={"model_id": asked})

    assert problem(answer) == (422, "invalid")
    assert said in answer.json["detail"]
    assert answer.json["errors"] == [{"detail": answer.json["detail"], "parameter": "model_id"}]


def test_a_hundred_models_may_be_asked_for(client: FlaskClient) -> None:
    answer: Any = client.get("/results", query_string={"model_id": model_ids(100)})

    assert answer.json == {"results": [], "missing": model_ids(100)}


def test_the_history_is_the_newest_first_unless_told(client: FlaskClient, ten: list[str]) -> None:
    assert moments(client) == moments(client, order="desc") == ten[::-1]
    assert moments(client, order="asc") == ten
    assert moments(client, limit=3) == ten[:6:-1]
    assert moments(client, limit=3, order="asc") == ten[:3]


def test_a_history_of_nothing_is_empty(client: FlaskClient) -> None:
    answer = client.get(HISTORY)

    assert (answer.status_code, answer.json, next_page_url(answer)) == (200, [], None)


@pytest.mark.parametrize(
    ("query", "first", "behind"),
    [
        ({"from_": "2026-11-24T12:00:00.003Z"}, 3, 10),
        ({"from_": "2026-11-24T12:00:00.002001Z"}, 3, 10),
        ({"from_": "2026-11-24T12:00:00.002999Z"}, 3, 10),
        ({"to": "2026-11-24T12:00:00.003Z"}, 0, 3),
        ({"to": "2026-11-24T12:00:00.003001Z"}, 0, 4),
        ({"to": "2026-11-24T12:00:00.003999999Z"}, 0, 4),
        ({"from_": "2026-11-24T12:00:00.002Z", "to": "2026-11-24T12:00:00.004Z"}, 2, 4),
        ({"from_": "2026-11-24T12:00:00.002Z", "to": "2026-11-24T12:00:00.002Z"}, 0, 0),
        ({"from_": "2026-11-24T12:00:00.005Z", "to": "2026-11-24T12:00:00.002Z"}, 0, 0),
        ({"from_": "2026-11-24T13:00:00.003+01:00"}, 3, 10),
        ({"from_": "2026-11-24t06:30:00.003-05:30"}, 3, 10),
        ({"from_": "2026-11-24T12:00:00z"}, 0, 10),
        ({"to": "2026-11-24T12:00:00.0Z"}, 0, 0),
        ({"from_": "0001-01-01T00:00:00Z", "to": "9999-12-31T23:59:59.999999Z"}, 0, 10),
        ({"from_": "9999-12-31T23:59:59.999999Z"}, 0, 0),
    ],
)
def test_from_is_included_and_to_is_not(
    client: FlaskClient, ten: list[str], query: dict[str, str], first: int, behind: int
) -> None:
    assert moments(client, order="asc", **query) == ten[first:behind]
    assert moments(client, **query) == ten[first:behind][::-1]


INSTANT = "write an instant such as 2026-11-24T12:00:00Z"


@pytest.mark.parametrize(
    ("query", "parameter", "said"),
    [
        *(
            (f"{name}={value}", name, INSTANT)
            for name in ("from", "to")
            for value in (
                "",
                "now",
                "1764000000",
                "2026-11-24",
                "2026-11-24T12:00:00",
                "2026-11-24 12:00:00Z",
                "2026-11-24T12:00Z",
                "2026-11-24T12:00:00+01:00",  # the + is a blank
                "2026-11-24T12:00:00%2B0100",
                "2026-11-24T12:00:00,5Z",
                "2026-11-24T12:00:00.Z",
                "2026-11-24T24:00:00Z",
                "2026-11-24T12:00:60Z",
                "2026-02-29T12:00:00Z",
                "2026-11-24T12:00:00%2B24:00",
                "0000-01-01T00:00:00Z",
                "0001-01-01T00:00:00%2B01:00",
                "9999-12-31T23:59:59-01:00",
                "10000-01-01T00:00:00Z",
                "%D9%A2026-11-24T12:00:00Z",
                "2026-11-24T12:00:00Z%0A",
                f"2026-11-24T12:00:00.{'9' * 4000}",
            )
        ),
        ("limit=0", "limit", "write a whole number from 1 to 1000"),
        ("limit=1001", "limit", "write a whole number from 1 to 1000"),
        ("limit=1e2", "limit", 'limit is "1e2"; write a whole number from 1 to 1000'),
        ("limit=%2B5", "limit", "write a whole number from 1 to 1000"),
        ("limit=", "limit", 'limit is ""; write a whole number from 1 to 1000'),
        ("order=newest", "order", "order is \"newest\"; write 'desc' or 'asc'"),
        ("order=ASC", "order", "write 'desc' or 'asc'"),
    ],
)
def test_a_wrong_question_for_history_is_refused(client: FlaskClient, query: str, parameter: str, said: str) -> None:
    answer: Any = client.get(f"{HISTORY}?{query}")

    assert problem(answer) == (422, "invalid")
    assert said in answer.json["detail"]
    assert answer.json["errors"] == [{"detail": answer.json["detail"], "parameter": parameter}]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 5, 10, 11])
def test_the_pages_have_each_result_once(
    client: FlaskClient, redis_client: redis.Redis, ten: list[str], order: str, limit: int
) -> None:
    """Also while new results arrive, which come at the end of asc and not at all in desc."""
    expected = ten if order == "asc" else ten[::-1]
    found: list[str] = []
    page: str | None = f"{HISTORY}?order={order}&limit={limit}"
    pages = 0
    while page and pages < 50:
        answer: Any = client.get(page)
        found += [each["due_at"] for each in answer.json]
        page = next_page_url(answer)
        pages += 1
        if pages <= 3:
            save(redis_client, result(NOON + timedelta(seconds=pages)))

    assert found[:10] == expected
    assert len(set(found)) == len(found) <= 13
    assert not [moment for moment in found[10:] if order == "desc"]


def test_a_page_keeps_what_was_asked_for(client: FlaskClient, ten: list[str]) -> None:
    bounds = {"from_": "2026-11-24T13:00:00.002+01:00", "to": "2026-11-24T12:00:00.0085Z"}
    for order, expected in (("asc", ten[2:9]), ("desc", ten[8:1:-1])):
        found: list[str] = []
        answer: Any = client.get(
            HISTORY, query_string={"from": bounds["from_"], "to": bounds["to"], "order": order, "limit": "2"}
        )
        while True:
            found += [each["due_at"] for each in answer.json]
            if not (page := next_page_url(answer)):
                break
            answer = client.get(page)

        assert found == expected


@pytest.mark.parametrize(
    "path",
    [f"/results/{MODEL}", HISTORY, f"{HISTORY}?order=asc&limit=2", f"{HISTORY}?limit=1", f"/results?model_id={MODEL}"],
)
def test_what_the_caller_has_is_not_sent_again(client: FlaskClient, redis_client: redis.Redis, path: str) -> None:
    save(redis_client, result(), result(NOON + MILLISECOND))
    first = client.get(path)
    tag = first.headers["ETag"]
    assert (first.status_code, first.headers["Cache-Control"]) == (200, "no-cache")

    for written in (tag, f"W/{tag}", "*", f'"x", {tag}'):
        again = client.get(path, headers={"If-None-Match": written})
        assert (again.status_code, again.data) == (304, b"")
        assert (again.headers["ETag"], again.headers["Cache-Control"]) == (tag, "no-cache")
        assert "Content-Type" not in again.headers
    for written in ('"x"', "", tag.strip('"')[1:]):
        assert client.get(path, headers={"If-None-Match": written}).status_code == 200

    save(redis_client, result(NOON + 2 * MILLISECOND))
    new = client.get(path, headers={"If-None-Match": tag})
    assert new.status_code == 200
    assert new.headers["ETag"] != tag


def test_a_result_that_comes_again_changes_nothing(client: FlaskClient, redis_client: redis.Redis) -> None:
    """The first one of a moment counts."""
    save(redis_client, result())
    tag = client.get(f"/results/{MODEL}").headers["ETag"]

    save(redis_client, Result(MODEL, NOON, NOON, "error", error="later"))

    assert client.get(f"/results/{MODEL}", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("path", [f"/results/{MODEL}", HISTORY, f"/results?model_id={MODEL}", f"/schedule/{MODEL}"])
def test_a_head_has_the_headers_alone(client: FlaskClient, redis_client: redis.Redis, path: str) -> None:
    client.post("/schedule", json={"model_id": MODEL, "cron_expression": "@yearly"})
    save(redis_client, result())
    whole = client.get(path)

    head = client.head(path)

    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert head.headers[name] == whole.headers[name], name
    if path.startswith("/results"):
        assert client.head(path, headers={"If-None-Match": whole.headers["ETag"]}).status_code == 304


def test_a_head_of_what_is_missing_says_so(client: FlaskClient) -> None:
    head = client.head(f"/results/{MODEL}")

    assert (head.status_code, head.data) == (404, b"")
