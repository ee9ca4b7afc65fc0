"""If-Match and If-None-Match on one schedule: nobody overwrites what he has not seen."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.api_responses import problem
from tests.support.concurrency import call_while_locked
from tests.support.databases import MODEL, OTHER, Connection, one, rows, run, schedule, set_clock

PATH = f"/schedule/{MODEL}"
ALL = "SELECT * FROM metrics_executions"
HELD = f"SELECT FROM metrics_executions WHERE model_id = '{MODEL}' FOR UPDATE"
PUT: tuple[str, Any] = ("PUT", {"cron_expression": "@hourly"})
PATCH: tuple[str, Any] = ("PATCH", {"cron_expression": "@hourly"})
DELETE: tuple[str, Any] = ("DELETE", None)


def ask(client: FlaskClient, call: tuple[str, Any], **headers: str) -> Any:
    method, body = call
    return client.open(PATH, method=method, json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


def tag(client: FlaskClient) -> str:
    return client.get(PATH).headers["ETag"]


@pytest.mark.parametrize("call", [PUT, PATCH, DELETE])
@pytest.mark.parametrize("written", ["{}", "*", '"x", {}', "{},{}", '  "x" ,{}  '])
def test_a_tag_that_fits_lets_it_through(
    client: FlaskClient, db: Connection, call: tuple[str, Any], written: str
) -> None:
    schedule(db)
    seen = tag(client)

    answer = ask(client, call, If_Match=written.replace("{}", seen))

    assert answer.status_code == (204 if call == DELETE else 200)
    if call != DELETE:
        assert answer.headers["ETag"] == tag(client) != seen


@pytest.mark.parametrize("call", [PUT, PATCH, DELETE])
@pytest.mark.parametrize("written", ['"x"', "W/{}", "", '"', '""', '"*"', "x y,,;", 'W/"', "\u00e9", "x" * 5000])
def test_a_tag_that_does_not_fit_changes_nothing(
    client: FlaskClient, db: Connection, call: tuple[str, Any], written: str
) -> None:
    schedule(db)
    before, seen = rows(db, ALL), tag(client)

    answer: Any = ask(client, call, If_Match=written.replace("{}", seen))

    assert problem(answer) == (412, "changed")
    assert f"its ETag is {seen}" in answer.json["detail"]
    assert len(answer.json["detail"]) < 300
    assert rows(db, ALL) == before


@pytest.mark.parametrize("call", [PUT, PATCH, DELETE])
@pytest.mark.parametrize("written", ["*", '"x"'])
def test_no_tag_fits_what_is_missing(client: FlaskClient, db: Connection, call: tuple[str, Any], written: str) -> None:
    schedule(db, OTHER)

    answer: Any = ask(client, call, If_Match=written)

    assert problem(answer) == (412, "changed")
    assert "there is none" in answer.json["detail"]
    assert one(db, "SELECT model_id::text FROM metrics_executions") == OTHER


def test_a_schedule_is_created_only_if_there_is_none(client: FlaskClient, db: Connection) -> None:
    assert ask(client, PUT, If_None_Match="*").status_code == 201
    before = rows(db, ALL)

    assert problem(ask(client, PUT, If_None_Match="*")) == (412, "changed")

    assert rows(db, ALL) == before


def test_a_post_heeds_tags_too(client: FlaskClient, db: Connection) -> None:
    body = {"model_id": MODEL, "cron_expression": "@daily"}

    assert problem(client.post("/schedule", json=body, headers={"If-Match": "*"})) == (412, "changed")
    assert client.post("/schedule", json=body, headers={"If-None-Match": "*"}).status_code == 201
    assert problem(client.post("/schedule", json=body, headers={"If-None-Match": "*"})) == (412, "changed")
    assert client.post("/schedule", json=body, headers={"If-Match": tag(client)}).status_code == 200


def test_a_tag_that_is_not_to_match_is_compared(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    seen = tag(client)

    assert problem(ask(client, PUT, If_None_Match=seen)) == (412, "changed")
    assert ask(client, PUT, If_None_Match='"x"').status_code == 200


def test_a_refused_value_is_told_where_the_tag_fits(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    answer = ask(client, ("PATCH", {"cron_expression": "60 * * * *"}), If_Match=tag(client))

    assert problem(answer) == (422, "refused")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE metrics_executions SET name = 'digits'",
        "UPDATE metrics_executions SET cron_expression = '@hourly'",
        "UPDATE metrics_executions SET timezone = 'Europe/Warsaw'",
        "UPDATE metrics_executions SET enabled = false",
        # there and back again: it counts from now on
        "UPDATE metrics_executions SET enabled = false; UPDATE metrics_executions SET enabled = true",
        f"DELETE FROM metrics_executions; INSERT INTO metrics_executions (model_id, cron_expression)"
        f" VALUES ('{MODEL}', '* * * * *')",
    ],
)
def test_a_change_by_sql_changes_the_tag(client: FlaskClient, db: Connection, change: str) -> None:
    schedule(db)
    seen = tag(client)

    run(db, change)

    assert tag(client) != seen
    assert problem(ask(client, PATCH, If_Match=seen)) == (412, "changed")


def test_what_the_scheduler_does_leaves_the_tag(client: FlaskClient, db: Connection) -> None:
    """Else nobody could change a schedule of every minute in peace."""
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)
    seen = tag(client)

    set_clock(db, "2026-11-24 12:02:30+00")
    run(
        db,
        "INSERT INTO crons SELECT cron_expression, timezone, '2026-11-24 12:03+00', '2026-11-24 12:02+00', NULL, 'x'"
        " FROM metrics_executions; UPDATE metrics_executions SET run_requested_at = now()",
    )

    assert tag(client) == seen
    assert ask(client, PATCH, If_Match=seen).status_code == 200


def test_two_schedules_alike_have_two_tags(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)
    schedule(db, OTHER)

    assert client.get(f"/schedule/{OTHER}").headers["ETag"] != tag(client)


@pytest.mark.parametrize("call", [PUT, PATCH, DELETE])
def test_of_several_changes_with_one_tag_one_wins(
    client: FlaskClient, db: Connection, database_url: str, call: tuple[str, Any]
) -> None:
    schedule(db)
    seen = tag(client)

    answers = call_while_locked(client, db, database_url, HELD, *[lambda each: ask(each, call, If_Match=seen)] * 4)

    won = [answer for answer in answers if answer.status_code in {200, 204}]
    lost = [answer for answer in answers if answer not in won]
    assert (len(won), len(lost)) == (1, 3)
    assert {problem(answer) for answer in lost} == {(412, "changed")}


def test_two_patches_of_two_fields_are_both_there(client: FlaskClient, db: Connection, database_url: str) -> None:
    """Neither puts back what the other has changed, though nobody sent a tag."""
    schedule(db)

    answers = call_while_locked(
        client, db, database_url, HELD,
        lambda each: each.patch(PATH, json={"name": "digits"}),
        lambda each: each.patch(PATH, json={"cron_expression": "@daily"}),
    )  # fmt: skip

    assert [answer.status_code for answer in answers] == [200, 200]
    assert rows(db, "SELECT name, cron_expression FROM metrics_executions") == [("digits", "@daily")]


def test_a_patch_of_what_is_deleted_meanwhile_finds_nothing(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    schedule(db)

    [answer] = call_while_locked(
        client, db, database_url, "DELETE FROM metrics_executions", lambda each: ask(each, PATCH)
    )

    assert problem(answer) == (404, "not-found")


def test_a_schedule_that_somebody_else_is_creating_is_not_replaced(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    other = f"INSERT INTO metrics_executions (model_id, cron_expression) VALUES ('{MODEL}', '@daily')"

    answers = call_while_locked(client, db, database_url, other, *[lambda each: ask(each, PUT, If_None_Match="*")] * 2)

    assert [problem(answer) for answer in answers] == [(412, "changed")] * 2
    assert one(db, "SELECT cron_expression FROM metrics_executions") == "@daily"
