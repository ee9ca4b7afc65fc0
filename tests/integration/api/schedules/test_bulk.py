"""PUT of many schedules at once: all or none."""

import random
import time
import uuid
from collections.abc import Sequence
from typing import Any

import pytest
from flask.testing import FlaskClient

from api.http.limits import MAX_BULK_REQUESTS
from tests.support.api_responses import problem
from tests.support.concurrency import Call, call_while_locked
from tests.support.databases import MODEL, OTHER, Connection, fetch_all, fetch_value, model_ids, schedule

MAX_SCHEDULES = 10_000
LENGTH = 3_999_999
MAX_DURATION = 10.0  # seconds for a full request, which takes about one; for a busy machine
COUNT_SCHEDULES = "SELECT count(*) FROM metrics_executions"
ALL_SCHEDULES = "SELECT * FROM metrics_executions ORDER BY id"


def bodies(count: int) -> list[dict[str, Any]]:
    return [{"model_id": model_id, "cron_expression": "*/5 * * * *"} for model_id in model_ids(count)]


def put(client: FlaskClient, body: Any) -> Any:
    return client.put("/schedule", json=body)


def errors(response: Any) -> list[tuple[str, str | None]]:
    return [(error["pointer"], error.get("hint")) for error in response.json["errors"]]


def test_bulk_put_creates_and_replaces_schedules(client: FlaskClient, db: Connection) -> None:
    schedule(db, MODEL, "@daily", "Europe/Warsaw")
    schedule(db, OTHER)
    untouched = fetch_all(db, f"SELECT * FROM metrics_executions WHERE model_id = '{OTHER}'")
    new = str(uuid.uuid4())

    response = put(
        client,
        [
            {"model_id": MODEL.upper(), "cron_expression": "@HOURLY", "name": "Größe"},
            {"model_id": new, "cron_expression": "0 9 * * *", "timezone": "Europe/Warsaw", "enabled": False},
        ],
    )

    assert (response.status_code, response.json) == (200, {"created": 1, "replaced": 1})
    columns = "SELECT name, cron_expression, timezone, enabled FROM metrics_executions WHERE model_id = %s"
    assert fetch_all(db, columns, MODEL) == [("Größe", "@hourly", "UTC", True)]
    assert fetch_all(db, columns, new) == [(None, "0 9 * * *", "Europe/Warsaw", False)]
    assert fetch_all(db, f"SELECT * FROM metrics_executions WHERE model_id = '{OTHER}'") == untouched


def test_repeated_bulk_put_changes_nothing(client: FlaskClient, db: Connection) -> None:
    put(client, bodies(50))
    before = fetch_all(db, ALL_SCHEDULES)

    response = put(client, bodies(50))

    assert response.json == {"created": 0, "replaced": 50}
    assert fetch_all(db, ALL_SCHEDULES) == before


def test_empty_bulk_put_is_accepted(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    assert put(client, []).json == {"created": 0, "replaced": 0}
    assert fetch_value(db, COUNT_SCHEDULES) == 1


def test_bulk_put_of_ten_thousand_schedules_is_fast(client: FlaskClient, db: Connection) -> None:
    """Each has a different cron and a name, in random order; they are created, then replaced."""
    rng = random.Random(1)
    body = [
        {
            "model_id": item["model_id"],
            "cron_expression": f"{index % 60} {index // 60 % 24} {index // 1440 + 1} * *",
            "timezone": rng.choice(["UTC", "Europe/Warsaw", "America/New_York"]),
            "name": "churn, weekly " * 10,
        }
        for index, item in enumerate(bodies(MAX_SCHEDULES))
    ]
    rng.shuffle(body)

    for expected in ({"created": MAX_SCHEDULES, "replaced": 0}, {"created": 0, "replaced": MAX_SCHEDULES}):
        for item in body:
            item["enabled"] = bool(expected["created"])
        started = time.monotonic()
        response = put(client, body)
        duration = time.monotonic() - started

        assert (response.status_code, response.json) == (200, expected)
        assert duration < MAX_DURATION
    assert fetch_value(db, COUNT_SCHEDULES + " WHERE NOT enabled") == MAX_SCHEDULES


def test_bulk_put_of_more_than_ten_thousand_is_rejected(client: FlaskClient, db: Connection) -> None:
    response = put(client, bodies(MAX_SCHEDULES + 1))

    assert problem(response) == (422, "invalid")
    assert response.json["detail"].endswith(f"; write at most {MAX_SCHEDULES} of them")
    assert errors(response) == [("#", None)]
    assert fetch_value(db, COUNT_SCHEDULES) == 0


def test_one_rejected_schedule_rejects_the_whole_bulk_put(client: FlaskClient, db: Connection) -> None:
    schedule(db, model_ids(1)[0], "@daily")
    before = fetch_all(db, ALL_SCHEDULES)
    body = bodies(MAX_SCHEDULES)
    body[7000]["cron_expression"] = "5/15 * * * *"

    started = time.monotonic()
    response = put(client, body)
    duration = time.monotonic() - started

    assert problem(response) == (422, "refused")
    detail = 'cron_expression "5/15 * * * *" is refused: minute "5/15" has a step without a range'
    assert response.json["errors"] == [
        {"detail": detail, "pointer": "#/7000/cron_expression", "hint": "Write 5-59/15."}
    ]
    assert response.json["detail"] == detail
    assert fetch_all(db, ALL_SCHEDULES) == before
    assert duration < MAX_DURATION


def test_rejected_schedules_are_located_by_their_index(client: FlaskClient, db: Connection) -> None:
    """In any order in which the rows are saved."""
    body = bodies(30)[::-1]
    body[3]["timezone"] = "europe/warsaw"
    body[17]["name"] = "x" * 201
    body[17]["cron_expression"] = "60 * * * *"
    body[29]["cron_expression"] = "1," * 600 + "1 * * * *"

    response = put(client, body)

    assert problem(response) == (422, "refused")
    assert response.json["detail"].endswith(" (and 3 more, see errors)")
    assert [pointer for pointer, _ in errors(response)] == [
        "#/3/timezone", "#/17/cron_expression", "#/17/name", "#/29/cron_expression"
    ]  # fmt: skip
    assert errors(response)[0][1] == "Write Europe/Warsaw."
    assert errors(response)[2][1] == "Write at most 200 characters."
    assert fetch_value(db, COUNT_SCHEDULES) == 0


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("cron_expression", "@daily" + " " * LENGTH, f"the expression is {LENGTH + 6} bytes long"),
        ("cron_expression", "1  " * (LENGTH // 3), f"the expression is {LENGTH} bytes long"),
        ("timezone", "x" * LENGTH, "it is not a name that schedules can use"),
        ("timezone", "utc" + " " * LENGTH, "it is not a name that schedules can use"),
        ("name", "x" * LENGTH, f"it has {LENGTH} characters"),
    ],
    ids=["cron", "blanks", "zone", "almost a zone", "name"],
)
def test_values_of_megabytes_are_rejected_within_the_statement_timeout(
    client: FlaskClient, field: str, value: str, reason: str
) -> None:
    response = put(client, [bodies(1)[0] | {field: value}])

    assert problem(response) == (422, "refused")
    assert response.json["detail"].endswith(f" is refused: {reason}")
    assert len(response.data) < 1000


def test_at_most_a_hundred_rejected_schedules_are_listed(client: FlaskClient, db: Connection) -> None:
    started = time.monotonic()
    response = put(
        client, [item | {"cron_expression": f"60 {index} * * *"} for index, item in enumerate(bodies(MAX_SCHEDULES))]
    )
    duration = time.monotonic() - started

    assert problem(response) == (422, "refused")
    assert [pointer for pointer, _ in errors(response)] == [f"#/{index}/cron_expression" for index in range(100)]
    assert fetch_value(db, COUNT_SCHEDULES) == 0
    assert duration < MAX_DURATION


def test_invalid_values_are_located_by_their_index(client: FlaskClient, db: Connection) -> None:
    body: list[Any] = bodies(10)
    body[1] = None
    body[2] = []
    body[4]["enabled"] = "yes"
    body[5] = {"cron_expression": "@daily"}
    body[6]["cron"] = "@daily"
    body[9]["model_id"] = "42"

    response = put(client, body)

    assert problem(response) == (422, "invalid")
    assert response.json["detail"] == "number 1 of the body is null; write a JSON object (and 5 more, see errors)"
    assert [pointer for pointer, _ in errors(response)] == [
        "#/1", "#/2", "#/4/enabled", "#/5/model_id", "#/6/cron", "#/9/model_id"
    ]  # fmt: skip
    assert fetch_value(db, COUNT_SCHEDULES) == 0


def test_at_most_a_hundred_invalid_values_are_listed(client: FlaskClient) -> None:
    response = put(client, [{}] * MAX_SCHEDULES)

    assert problem(response) == (422, "invalid")
    assert response.json["detail"].endswith(" (and at least 99 more, see errors)")
    assert len(response.json["errors"]) == 100
    assert len(response.data) < 20_000


def test_repeated_model_is_rejected(client: FlaskClient, db: Connection) -> None:
    body = bodies(9)
    body[5]["model_id"] = MODEL
    body[7]["model_id"] = MODEL.upper()
    body[8]["model_id"] = MODEL

    response = put(client, body)

    assert problem(response) == (422, "invalid")
    assert response.json["detail"].startswith(f"model_id {MODEL} of number 7 is that of number 5 too; name it once")
    assert errors(response) == [("#/7/model_id", None), ("#/8/model_id", None)]
    assert fetch_value(db, COUNT_SCHEDULES) == 0


@pytest.mark.parametrize("body", ['{"0": {}}', '"[]"', "null", "7"])
def test_body_other_than_an_array_is_rejected(client: FlaskClient, body: str) -> None:
    response: Any = client.put("/schedule", data=body, content_type="application/json")

    assert problem(response) == (422, "invalid")
    assert response.json["detail"].endswith("; write a JSON array")


def test_concurrent_bulk_puts_of_the_same_models_do_not_deadlock(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    """Saved in the order of the request, each would wait for a row that the other one has locked."""
    ids = model_ids(9)  # some exist, and some do not
    for model_id in ids[::2]:
        schedule(db, model_id)
    held = f"UPDATE metrics_executions SET name = 'held' WHERE model_id = '{ids[4]}'"

    def save_in_order(ordered: Sequence[str], cron: str) -> Call:
        return lambda caller: put(caller, [{"model_id": model_id, "cron_expression": cron} for model_id in ordered])

    responses = call_while_locked(
        client, db, database_url, held, save_in_order(ids, "@daily"), save_in_order(ids[::-1], "@hourly")
    )

    assert [response.status_code for response in responses] == [200, 200]
    assert sum(response.json["created"] for response in responses) == 4
    assert fetch_value(db, "SELECT count(DISTINCT cron_expression) FROM metrics_executions") == 1


def test_bulk_put_beyond_the_concurrency_limit_gets_retry_after(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    """Immediately: each needs much memory, and hundreds of them would occupy all threads."""
    schedule(db, MODEL)
    body = [{"model_id": MODEL, "cron_expression": "@daily"}]
    held = "UPDATE metrics_executions SET name = 'held'"

    def save(caller: FlaskClient) -> Any:
        return put(caller, body)

    def save_in_time(caller: FlaskClient) -> tuple[Any, float]:
        started = time.monotonic()
        return save(caller), time.monotonic() - started

    *responses, (rejected, duration) = call_while_locked(
        client, db, database_url, held, *[save] * MAX_BULK_REQUESTS, before_commit=save_in_time
    )

    assert [response.status_code for response in responses] == [200] * MAX_BULK_REQUESTS
    assert problem(rejected) == (503, "busy")
    assert rejected.headers["Retry-After"] == "1"
    assert duration < 0.5
    assert put(client, body).status_code == 200
