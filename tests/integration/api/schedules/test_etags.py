"""If-Match and If-None-Match on one schedule: optimistic locking."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.api_responses import problem
from tests.support.concurrency import call_while_locked
from tests.support.databases import MODEL, OTHER, Connection, execute, fetch_all, fetch_value, schedule, set_clock

PATH = f"/schedule/{MODEL}"
ALL_SCHEDULES = "SELECT * FROM metrics_executions"
LOCK_ROW = f"SELECT FROM metrics_executions WHERE model_id = '{MODEL}' FOR UPDATE"
PUT: tuple[str, Any] = ("PUT", {"cron_expression": "@hourly"})
PATCH: tuple[str, Any] = ("PATCH", {"cron_expression": "@hourly"})
DELETE: tuple[str, Any] = ("DELETE", None)


def send(client: FlaskClient, call: tuple[str, Any], **headers: str) -> Any:
    method, body = call
    return client.open(PATH, method=method, json=body, headers={n.replace("_", "-"): v for n, v in headers.items()})


def get_tag(client: FlaskClient) -> str:
    return client.get(PATH).headers["ETag"]


@pytest.mark.parametrize("call", [PUT, PATCH, DELETE])
@pytest.mark.parametrize("header", ["{}", "*", '"x", {}', "{},{}", '  "x" ,{}  '])
def test_matching_if_match_permits_the_change(
    client: FlaskClient, db: Connection, call: tuple[str, Any], header: str
) -> None:
    schedule(db)
    current_tag = get_tag(client)

    response = send(client, call, If_Match=header.replace("{}", current_tag))

    assert response.status_code == (204 if call == DELETE else 200)
    if call != DELETE:
        assert response.headers["ETag"] == get_tag(client) != current_tag


@pytest.mark.parametrize("call", [PUT, PATCH, DELETE])
@pytest.mark.parametrize("header", ['"x"', "W/{}", "", '"', '""', '"*"', "x y,,;", 'W/"', "\u00e9", "x" * 5000])
def test_other_if_match_changes_nothing(
    client: FlaskClient, db: Connection, call: tuple[str, Any], header: str
) -> None:
    schedule(db)
    before, current_tag = fetch_all(db, ALL_SCHEDULES), get_tag(client)

    response: Any = send(client, call, If_Match=header.replace("{}", current_tag))

    assert problem(response) == (412, "changed")
    assert f"its ETag is {current_tag}" in response.json["detail"]
    assert len(response.json["detail"]) < 300
    assert fetch_all(db, ALL_SCHEDULES) == before


@pytest.mark.parametrize("call", [PUT, PATCH, DELETE])
@pytest.mark.parametrize("header", ["*", '"x"'])
def test_if_match_fails_without_a_schedule(
    client: FlaskClient, db: Connection, call: tuple[str, Any], header: str
) -> None:
    schedule(db, OTHER)

    response: Any = send(client, call, If_Match=header)

    assert problem(response) == (412, "changed")
    assert "there is none" in response.json["detail"]
    assert fetch_value(db, "SELECT model_id::text FROM metrics_executions") == OTHER


def test_if_none_match_creates_but_does_not_replace(client: FlaskClient, db: Connection) -> None:
    assert send(client, PUT, If_None_Match="*").status_code == 201
    before = fetch_all(db, ALL_SCHEDULES)

    assert problem(send(client, PUT, If_None_Match="*")) == (412, "changed")

    assert fetch_all(db, ALL_SCHEDULES) == before


def test_post_checks_preconditions_too(client: FlaskClient, db: Connection) -> None:
    body = {"model_id": MODEL, "cron_expression": "@daily"}

    assert problem(client.post("/schedule", json=body, headers={"If-Match": "*"})) == (412, "changed")
    assert client.post("/schedule", json=body, headers={"If-None-Match": "*"}).status_code == 201
    assert problem(client.post("/schedule", json=body, headers={"If-None-Match": "*"})) == (412, "changed")
    assert client.post("/schedule", json=body, headers={"If-Match": get_tag(client)}).status_code == 200


def test_if_none_match_with_a_tag_is_compared(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    current_tag = get_tag(client)

    assert problem(send(client, PUT, If_None_Match=current_tag)) == (412, "changed")
    assert send(client, PUT, If_None_Match='"x"').status_code == 200


def test_invalid_value_is_reported_if_the_tag_matches(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    response = send(client, ("PATCH", {"cron_expression": "60 * * * *"}), If_Match=get_tag(client))

    assert problem(response) == (422, "refused")


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE metrics_executions SET name = 'digits'",
        "UPDATE metrics_executions SET cron_expression = '@hourly'",
        "UPDATE metrics_executions SET timezone = 'Europe/Warsaw'",
        "UPDATE metrics_executions SET enabled = false",
        # paused and resumed: it is active from now on
        "UPDATE metrics_executions SET enabled = false; UPDATE metrics_executions SET enabled = true",
        f"DELETE FROM metrics_executions; INSERT INTO metrics_executions (model_id, cron_expression)"
        f" VALUES ('{MODEL}', '* * * * *')",
    ],
)
def test_change_by_sql_changes_the_tag(client: FlaskClient, db: Connection, change: str) -> None:
    schedule(db)
    current_tag = get_tag(client)

    execute(db, change)

    assert get_tag(client) != current_tag
    assert problem(send(client, PATCH, If_Match=current_tag)) == (412, "changed")


def test_runs_leave_the_tag_unchanged(client: FlaskClient, db: Connection) -> None:
    """Otherwise a schedule of every minute could hardly be changed with If-Match."""
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)
    current_tag = get_tag(client)

    set_clock(db, "2026-11-24 12:02:30+00")
    execute(
        db,
        "INSERT INTO crons SELECT cron_expression, timezone, '2026-11-24 12:03+00', '2026-11-24 12:02+00', NULL, 'x'"
        " FROM metrics_executions; UPDATE metrics_executions SET run_requested_at = now()",
    )

    assert get_tag(client) == current_tag
    assert send(client, PATCH, If_Match=current_tag).status_code == 200


def test_equal_schedules_of_two_models_have_different_tags(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)
    schedule(db, OTHER)

    assert client.get(f"/schedule/{OTHER}").headers["ETag"] != get_tag(client)


@pytest.mark.parametrize("call", [PUT, PATCH, DELETE])
def test_one_of_several_concurrent_changes_with_the_same_tag_succeeds(
    client: FlaskClient, db: Connection, database_url: str, call: tuple[str, Any]
) -> None:
    schedule(db)
    current_tag = get_tag(client)

    responses = call_while_locked(
        client, db, database_url, LOCK_ROW, *[lambda caller: send(caller, call, If_Match=current_tag)] * 4
    )

    succeeded = [response for response in responses if response.status_code in {200, 204}]
    failed = [response for response in responses if response not in succeeded]
    assert (len(succeeded), len(failed)) == (1, 3)
    assert {problem(response) for response in failed} == {(412, "changed")}


def test_concurrent_patches_of_different_fields_are_both_saved(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    """Neither reverts the change of the other one, even without a tag."""
    schedule(db)

    responses = call_while_locked(
        client, db, database_url, LOCK_ROW,
        lambda caller: caller.patch(PATH, json={"name": "digits"}),
        lambda caller: caller.patch(PATH, json={"cron_expression": "@daily"}),
    )  # fmt: skip

    assert [response.status_code for response in responses] == [200, 200]
    assert fetch_all(db, "SELECT name, cron_expression FROM metrics_executions") == [("digits", "@daily")]


def test_patch_of_a_concurrently_deleted_schedule_is_not_found(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    schedule(db)

    [response] = call_while_locked(
        client, db, database_url, "DELETE FROM metrics_executions", lambda caller: send(caller, PATCH)
    )

    assert problem(response) == (404, "not-found")


def test_if_none_match_does_not_replace_a_concurrently_created_schedule(
    client: FlaskClient, db: Connection, database_url: str
) -> None:
    other = f"INSERT INTO metrics_executions (model_id, cron_expression) VALUES ('{MODEL}', '@daily')"

    responses = call_while_locked(
        client, db, database_url, other, *[lambda caller: send(caller, PUT, If_None_Match="*")] * 2
    )

    assert [problem(response) for response in responses] == [(412, "changed")] * 2
    assert fetch_value(db, "SELECT cron_expression FROM metrics_executions") == "@daily"
