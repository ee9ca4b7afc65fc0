"""GET of results: the latest one, the latest of many models, the history; and conditional requests."""

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
def ten_due_times(redis_client: redis.Redis) -> list[str]:
    """The due times of ten results, a millisecond apart, the oldest first."""
    results = [result(NOON + n * MILLISECOND) for n in range(10)]
    save(redis_client, *results, result(NOON, OTHER))
    return [str(stored.as_dict()["due_at"]) for stored in results]


def list_due_times(client: FlaskClient, **query: Any) -> list[str]:
    response: Any = client.get(HISTORY, query_string={name.rstrip("_"): value for name, value in query.items()})
    assert response.status_code == 200, response.text
    return [item["due_at"] for item in response.json]


def test_latest_result_is_returned(client: FlaskClient, redis_client: redis.Redis) -> None:
    save(redis_client, result(NOON - timedelta(minutes=1)), result())

    response = client.get(f"/results/{MODEL.upper()}")

    assert response.status_code == 200
    assert response.json == result().as_dict()


def test_model_without_results_is_not_found(client: FlaskClient) -> None:
    response: Any = client.get(f"/results/{MODEL}")

    assert problem(response) == (404, "not-found")
    assert "has no result yet" in response.json["detail"]


def test_result_without_metrics_has_an_error(client: FlaskClient, redis_client: redis.Redis) -> None:
    failed = Result(MODEL, NOON, NOON, "error", error="y_true has nulls")
    save(redis_client, failed)

    response: Any = client.get(f"/results/{MODEL}")

    assert response.json == failed.as_dict()
    assert (response.json["metrics"], response.json["error"]) == ({"accuracy": None}, "y_true has nulls")


def test_latest_results_are_in_the_order_of_the_request(client: FlaskClient, redis_client: redis.Redis) -> None:
    """Each once, for repeated ids and upper case too; models without results are listed as missing."""
    first, second, none, nothing = model_ids(4)
    save(redis_client, result(NOON, first), result(NOON - MILLISECOND, second), result(NOON, second))
    model_ids_in_query = [second, none, first.upper(), second, nothing, none]

    response: Any = client.get("/results", query_string={"model_id": model_ids_in_query})

    assert response.status_code == 200
    assert response.json == {
        "results": [result(NOON, second).as_dict(), result(NOON, first).as_dict()],
        "missing": [none, nothing],
    }


@pytest.mark.parametrize(
    ("model_ids_in_query", "detail"),
    [
        ([], "model_id is missing; it is required"),
        ([MODEL, "42"], 'is "42"; write a UUID'),
        ([MODEL, ""], 'is ""; write a UUID'),
        ([f"{MODEL},{OTHER}"], "write a UUID"),
        (model_ids(101), "write at most 100 of them"),
        ([MODEL] * 101, "write at most 100 of them"),
    ],
)
def test_invalid_request_of_latest_results_is_rejected(
    client: FlaskClient, model_ids_in_query: list[str], detail: str
) -> None:
    response: Any = client.get("/results", query_string={"model_id": model_ids_in_query})

    assert problem(response) == (422, "invalid")
    assert detail in response.json["detail"]
    assert response.json["errors"] == [{"detail": response.json["detail"], "parameter": "model_id"}]


def test_latest_results_of_a_hundred_models(client: FlaskClient) -> None:
    response: Any = client.get("/results", query_string={"model_id": model_ids(100)})

    assert response.json == {"results": [], "missing": model_ids(100)}


def test_history_is_newest_first_by_default(client: FlaskClient, ten_due_times: list[str]) -> None:
    assert list_due_times(client) == list_due_times(client, order="desc") == ten_due_times[::-1]
    assert list_due_times(client, order="asc") == ten_due_times
    assert list_due_times(client, limit=3) == ten_due_times[:6:-1]
    assert list_due_times(client, limit=3, order="asc") == ten_due_times[:3]


def test_history_without_results_is_empty(client: FlaskClient) -> None:
    response = client.get(HISTORY)

    assert (response.status_code, response.json, next_page_url(response)) == (200, [], None)


@pytest.mark.parametrize(
    ("query", "first", "end"),
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
def test_from_is_inclusive_and_to_is_exclusive(
    client: FlaskClient, ten_due_times: list[str], query: dict[str, str], first: int, end: int
) -> None:
    assert list_due_times(client, order="asc", **query) == ten_due_times[first:end]
    assert list_due_times(client, **query) == ten_due_times[first:end][::-1]


INSTANT = "write an instant such as 2026-11-24T12:00:00Z"


@pytest.mark.parametrize(
    ("query", "parameter", "detail"),
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
                "2026-11-24T12:00:00+01:00",  # + is a space
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
def test_invalid_history_request_is_rejected(client: FlaskClient, query: str, parameter: str, detail: str) -> None:
    response: Any = client.get(f"{HISTORY}?{query}")

    assert problem(response) == (422, "invalid")
    assert detail in response.json["detail"]
    assert response.json["errors"] == [{"detail": response.json["detail"], "parameter": parameter}]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("limit", [1, 3, 5, 10, 11])
def test_pages_of_history_have_each_result_once(
    client: FlaskClient, redis_client: redis.Redis, ten_due_times: list[str], order: str, limit: int
) -> None:
    """Also while results are added: they are at the end of asc, and not in desc."""
    expected = ten_due_times if order == "asc" else ten_due_times[::-1]
    listed: list[str] = []
    page: str | None = f"{HISTORY}?order={order}&limit={limit}"
    pages = 0
    while page and pages < 50:
        response: Any = client.get(page)
        listed += [item["due_at"] for item in response.json]
        page = next_page_url(response)
        pages += 1
        if pages <= 3:
            save(redis_client, result(NOON + timedelta(seconds=pages)))

    assert listed[:10] == expected
    assert len(set(listed)) == len(listed) <= 13
    assert not [due_at for due_at in listed[10:] if order == "desc"]


def test_next_page_keeps_the_parameters(client: FlaskClient, ten_due_times: list[str]) -> None:
    bounds = {"from_": "2026-11-24T13:00:00.002+01:00", "to": "2026-11-24T12:00:00.0085Z"}
    for order, expected in (("asc", ten_due_times[2:9]), ("desc", ten_due_times[8:1:-1])):
        listed: list[str] = []
        response: Any = client.get(
            HISTORY, query_string={"from": bounds["from_"], "to": bounds["to"], "order": order, "limit": "2"}
        )
        while True:
            listed += [item["due_at"] for item in response.json]
            if not (page := next_page_url(response)):
                break
            response = client.get(page)

        assert listed == expected


@pytest.mark.parametrize(
    "path",
    [f"/results/{MODEL}", HISTORY, f"{HISTORY}?order=asc&limit=2", f"{HISTORY}?limit=1", f"/results?model_id={MODEL}"],
)
def test_known_content_is_not_sent_again(client: FlaskClient, redis_client: redis.Redis, path: str) -> None:
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


def test_second_result_of_a_due_time_is_ignored(client: FlaskClient, redis_client: redis.Redis) -> None:
    """The first result of a due time counts."""
    save(redis_client, result())
    tag = client.get(f"/results/{MODEL}").headers["ETag"]

    save(redis_client, Result(MODEL, NOON, NOON, "error", error="later"))

    assert client.get(f"/results/{MODEL}", headers={"If-None-Match": tag}).status_code == 304


@pytest.mark.parametrize("path", [f"/results/{MODEL}", HISTORY, f"/results?model_id={MODEL}", f"/schedule/{MODEL}"])
def test_head_has_the_headers_only(client: FlaskClient, redis_client: redis.Redis, path: str) -> None:
    client.post("/schedule", json={"model_id": MODEL, "cron_expression": "@yearly"})
    save(redis_client, result())
    get = client.get(path)

    head = client.head(path)

    assert (head.status_code, head.data) == (200, b"")
    for name in ("ETag", "Content-Type", "Content-Length"):
        assert head.headers[name] == get.headers[name], name
    if path.startswith("/results"):
        assert client.head(path, headers={"If-None-Match": get.headers["ETag"]}).status_code == 304


def test_head_of_a_missing_result_is_not_found(client: FlaskClient) -> None:
    head = client.head(f"/results/{MODEL}")

    assert (head.status_code, head.data) == (404, b"")
