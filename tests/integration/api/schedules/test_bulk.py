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
from tests.support.databases import MODEL, OTHER, Connection, model_ids, one, rows, schedule

MOST = 10_000
MEGABYTES = 3_999_999
SECONDS = 10.0  # for a full call, which takes about one; on a machine that is busy with other things
COUNT = "SELECT count(*) FROM metrics_executions"
ALL = "SELECT * FROM metrics_executions ORDER BY id"


def bodies(count: int) -> list[dict[str, Any]]:
    return [{"model_id": model_id, "cron_expression": "*/5 * * * *"} for model_id in model_ids(count)]


def put(client: FlaskClient, body: Any) -> Any:
    return client.put("/schedule", json=body)


def errors(answer: Any) -> list[tuple[str, str | None]]:
    return [(error["pointer"], error.get("hint")) for error in answer.json["errors"]]


def test_some_are_created_and_some_replaced(client: FlaskClient, db: Connection) -> None:
    schedule(db, MODEL, "@daily", "Europe/Warsaw")
    schedule(db, OTHER)
    untouched = rows(db, f"SELECT * FROM metrics_executions WHERE model_id = '{OTHER}'")
    new = str(uuid.uuid4())

    answer = put(
        client,
        [
            {"model_id": MODEL.upper(), "cron_expression": "@HOURLY", "name": "Größe"},
            {"model_id": new, "cron_expression": "0 9 * * *", "timezone": "Europe/Warsaw", "enabled": False},
        ],
    )

    assert (answer.status_code, answer.json) == (200, {"created": 1, "replaced": 1})
    columns = "SELECT name, cron_expression, timezone, enabled FROM metrics_executions WHERE model_id = %s"
    assert rows(db, columns, MODEL) == [("Größe", "@hourly", "UTC", True)]
    assert rows(db, columns, new) == [(None, "0 9 * * *", "Europe/Warsaw", False)]
    assert rows(db, f"SELECT * FROM metrics_executions WHERE model_id = '{OTHER}'") == untouched


def test_a_second_time_changes_nothing(client: FlaskClient, db: Connection) -> None:
    put(client, bodies(50))
    before = rows(db, ALL)

    answer = put(client, bodies(50))

    assert answer.json == {"created": 0, "replaced": 50}
    assert rows(db, ALL) == before


def test_none_at_all_is_no_fault(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    assert put(client, []).json == {"created": 0, "replaced": 0}
    assert one(db, COUNT) == 1


def test_ten_thousand_take_a_moment(client: FlaskClient, db: Connection) -> None:
    """Each with a cron of its own and a name, in any order; created, and replaced."""
    chance = random.Random(1)
    body = [
        {
            "model_id": each["model_id"],
            "cron_expression": f"{place % 60} {place // 60 % 24} {place // 1440 + 1} * *",
            "timezone": chance.choice(["UTC", "Europe/Warsaw", "America/New_York"]),
            "name": "churn, weekly " * 10,
        }
        for place, each in enumerate(bodies(MOST))
    ]
    chance.shuffle(body)

    for expected in ({"created": MOST, "replaced": 0}, {"created": 0, "replaced": MOST}):
        for each in body:
            each["enabled"] = bool(expected["created"])
        started = time.monotonic()
        answer = put(client, body)
        took = time.monotonic() - started

        assert (answer.status_code, answer.json) == (200, expected)
        assert took < SECONDS
    assert one(db, COUNT + " WHERE NOT enabled") == MOST


def test_one_more_is_too_many(client: FlaskClient, db: Connection) -> None:
    answer = put(client, bodies(MOST + 1))

    assert problem(answer) == (422, "invalid")
    assert answer.json["detail"].endswith(f"; write at most {MOST} of them")
    assert errors(answer) == [("#", None)]
    assert one(db, COUNT) == 0


def test_one_that_the_gate_refuses_leaves_nothing(client: FlaskClient, db: Connection) -> None:
    schedule(db, model_ids(1)[0], "@daily")
    before = rows(db, ALL)
    body = bodies(MOST)
    body[7000]["cron_expression"] = "5/15 * * * *"

    started = time.monotonic()
    answer = put(client, body)
    took = time.monotonic() - started

    assert problem(answer) == (422, "refused")
    detail = 'cron_expression "5/15 * * * *" is refused: minute "5/15" has a step without a range'
    assert answer.json["errors"] == [{"detail": detail, "pointer": "#/7000/cron_expression", "hint": "Write 5-59/15."}]
    assert answer.json["detail"] == detail
    assert rows(db, ALL) == before
    assert took < SECONDS


def test_each_that_the_gate_refuses_is_named_by_its_position(client: FlaskClient, db: Connection) -> None:
    """Whatever the order in which the rows are saved."""
    body = bodies(30)[::-1]
    body[3]["timezone"] = "europe/warsaw"
    body[17]["name"] = "x" * 201
    body[17]["cron_expression"] = "60 * * * *"
    body[29]["cron_expression"] = "1," * 600 + "1 * * * *"

    answer = put(client, body)

    assert problem(answer) == (422, "refused")
    assert answer.json["detail"].endswith(" (and 3 more, see errors)")
    assert [pointer for pointer, _ in errors(answer)] == [
        "#/3/timezone", "#/17/cron_expression", "#/17/name", "#/29/cron_expression"
    ]  # fmt: skip
    assert errors(answer)[0][1] == "Write Europe/Warsaw."
    assert errors(answer)[2][1] == "Write at most 200 characters."
    assert one(db, COUNT) == 0


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("cron_expression", "@daily" + " " * MEGABYTES, f"the expression is {MEGABYTES + 6} bytes long"),
        ("cron_expression", "1  " * (MEGABYTES // 3), f"the expression is {MEGABYTES} bytes long"),
        ("timezone", "x" * MEGABYTES, "it is not a name that schedules can use"),
        ("timezone", "utc" + " " * MEGABYTES, "it is not a name that schedules can use"),
        ("name", "x" * MEGABYTES, f"it has {MEGABYTES} characters"),
    ],
    ids=["cron", "blanks", "zone", "almost a zone", "name"],
)
def test_megabytes_of_a_value_are_refused_before_the_time_of_a_statement_is_over(
    client: FlaskClient, field: str, value: str, said: str
) -> None:
    answer = put(client, [bodies(1)[0] | {field: value}])

    assert problem(answer) == (422, "refused")
    assert answer.json["detail"].endswith(f" is refused: {said}")
    assert len(answer.data) < 1000


def test_a_hundred_are_named_of_those_that_the_gate_refuses(client: FlaskClient, db: Connection) -> None:
    started = time.monotonic()
    answer = put(client, [each | {"cron_expression": f"60 {n} * * *"} for n, each in enumerate(bodies(MOST))])
    took = time.monotonic() - started

    assert problem(answer) == (422, "refused")
    assert [pointer for pointer, _ in errors(answer)] == [f"#/{place}/cron_expression" for place in range(100)]
    assert one(db, COUNT) == 0
    assert took < SECONDS


def test_wrong_values_are_named_by_their_positions(client: FlaskClient, db: Connection) -> None:
    body: list[Any] = bodies(10)
    body[1] = None
    body[2] = []
    body[4]["enabled"] = "yes"
    body[5] = {"cron_expression": "@daily"}
    body[6]["cron"] = "@daily"
    body[9]["model_id"] = "42"

    answer = put(client, body)

    assert problem(answer) == (422, "invalid")
    assert answer.json["detail"] == "number 1 of the body is null; write a JSON object (and 5 more, see errors)"
    assert [pointer for pointer, _ in errors(answer)] == [
        "#/1", "#/2", "#/4/enabled", "#/5/model_id", "#/6/cron", "#/9/model_id"
    ]  # fmt: skip
    assert one(db, COUNT) == 0


def test_a_hundred_are_named_of_the_wrong_values(client: FlaskClient) -> None:
    answer = put(client, [{}] * MOST)

    assert problem(answer) == (422, "invalid")
    assert answer.json["detail"].endswith(" (and at least 99 more, see errors)")
    assert len(answer.json["errors"]) == 100
    assert len(answer.data) < 20_000


def test_a_model_that_is_named_twice_is_refused(client: FlaskClient, db: Connection) -> None:
    body = bodies(9)
    body[5]["model_id"] = MODEL
    body[7]["model_id"] = MODEL.upper()
    body[8]["model_id"] = MODEL

    answer = put(client, body)

    assert problem(answer) == (422, "invalid")
    assert answer.json["detail"].startswith(f"model_id {MODEL} of number 7 is that of number 5 too; name it once")
    assert errors(answer) == [("#/7/model_id", None), ("#/8/model_id", None)]
    assert one(db, COUNT) == 0


@pytest.mark.parametrize("body", ['{"0": {}}', '"[]"', "null", "7"])
def test_what_is_no_array_is_refused(client: FlaskClient, body: str) -> None:
    answer: Any = client.put("/schedule", data=body, content_type="application/json")

    assert problem(answer) == (422, "invalid")
    assert answer.json["detail"].endswith("; write a JSON array")


def test_calls_at_the_same_time_about_the_same_models_do_not_hinder_each_other(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    """In opposite orders they would hold what the other one waits for, were they not put into one order."""
    ids = model_ids(9)  # some are there, and some are not
    for model_id in ids[::2]:
        schedule(db, model_id)
    held = f"UPDATE metrics_executions SET name = 'held' WHERE model_id = '{ids[4]}'"

    def save(ordered: Sequence[str], cron: str) -> Call:
        return lambda each: put(each, [{"model_id": model_id, "cron_expression": cron} for model_id in ordered])

    answers = call_while_locked(client, db, database_url, held, save(ids, "@daily"), save(ids[::-1], "@hourly"))

    assert [answer.status_code for answer in answers] == [200, 200]
    assert sum(answer.json["created"] for answer in answers) == 4
    assert one(db, "SELECT count(DISTINCT cron_expression) FROM metrics_executions") == 1


def test_one_more_than_may_be_at_it_is_asked_to_come_back(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    """At once: each takes much memory, and there may be hundreds of them, which would keep all threads."""
    schedule(db, MODEL)
    bulk = [{"model_id": MODEL, "cron_expression": "@daily"}]
    held = "UPDATE metrics_executions SET name = 'held'"

    def save(each: FlaskClient) -> Any:
        return put(each, bulk)

    def one_more(each: FlaskClient) -> tuple[Any, float]:
        started = time.monotonic()
        return save(each), time.monotonic() - started

    *answers, (refused, took) = call_while_locked(
        client, db, database_url, held, *[save] * MAX_BULK_REQUESTS, before_commit=one_more
    )

    assert [answer.status_code for answer in answers] == [200] * MAX_BULK_REQUESTS
    assert problem(refused) == (503, "busy")
    assert refused.headers["Retry-After"] == "1"
    assert took < 0.5
    assert put(client, bulk).status_code == 200
