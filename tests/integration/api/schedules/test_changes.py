"""PUT and PATCH of one schedule, and running it now."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.api_responses import problem
from tests.support.databases import MODEL, OTHER, Connection, one, rows, run, schedule, set_clock

PATH = f"/schedule/{MODEL}"
ROW = "SELECT name, cron_expression, timezone, enabled FROM metrics_executions"
ALL = "SELECT * FROM metrics_executions"


def announced(db: Connection) -> list[Any]:
    """Return what PostgreSQL has told whoever listens since the last time, up to now."""
    run(db, "LISTEN metrics_executions; NOTIFY metrics_executions, 'end'")
    db.poll()
    said = [notify.payload for notify in db.notifies]
    db.notifies.clear()
    return said[: said.index("end")]


def test_a_put_creates(client: FlaskClient, db: Connection) -> None:
    answer: Any = client.put(f"/schedule/{MODEL.upper()}", json={"cron_expression": "@DAILY"})

    assert answer.status_code == 201
    assert answer.headers["Location"] == PATH
    assert answer.headers["ETag"] == client.get(PATH).headers["ETag"]
    assert (answer.json["model_id"], answer.json["cron_expression"], answer.json["status"]) == (MODEL, "@daily", "new")
    assert rows(db, ROW) == [(None, "@daily", "UTC", True)]


def test_a_put_replaces_all_of_it(client: FlaskClient, db: Connection) -> None:
    whole = {"cron_expression": "0 9 * * *", "timezone": "Europe/Warsaw", "enabled": False, "name": "digits"}
    client.put(PATH, json=whole)
    assert rows(db, ROW) == [("digits", "0 9 * * *", "Europe/Warsaw", False)]

    answer = client.put(PATH, json={"cron_expression": "0 9 * * *"})

    assert answer.status_code == 200
    assert rows(db, ROW) == [(None, "0 9 * * *", "UTC", True)]


def test_a_second_put_changes_nothing_and_announces_nothing(client: FlaskClient, db: Connection) -> None:
    body = {"cron_expression": "*/5 9-17 * * MON-FRI", "timezone": "Europe/Warsaw", "name": "digits"}
    announced(db)
    first = client.put(PATH, json=body)
    before = rows(db, ALL)
    assert len(announced(db)) == 1

    second = client.put(PATH, json=body)

    assert (second.status_code, second.json) == (200, first.json)
    assert second.headers["ETag"] == first.headers["ETag"]
    assert rows(db, ALL) == before
    assert announced(db) == []


def test_a_put_leaves_a_request_for_a_run(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    client.post(f"{PATH}/run")
    requested = one(db, "SELECT run_requested_at FROM metrics_executions")

    client.put(PATH, json={"cron_expression": "@daily"})

    assert one(db, "SELECT run_requested_at FROM metrics_executions") == requested


def test_a_put_may_name_the_model_again(client: FlaskClient) -> None:
    assert client.put(PATH, json={"model_id": MODEL.upper(), "cron_expression": "@daily"}).status_code == 201


def test_a_put_of_another_model_than_the_address_says_is_refused(client: FlaskClient, db: Connection) -> None:
    answer: Any = client.put(PATH, json={"model_id": OTHER, "cron_expression": "@daily"})

    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"] == [{"detail": answer.json["detail"], "pointer": "#/model_id"}]
    assert OTHER in answer.json["detail"]
    assert MODEL in answer.json["detail"]
    assert rows(db, ALL) == []


def test_a_put_without_an_expression_is_refused(client: FlaskClient, db: Connection) -> None:
    """It is no PATCH: what it leaves out takes its default, and an expression has none."""
    schedule(db)

    answer: Any = client.put(PATH, json={"enabled": False})

    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"][0]["pointer"] == "#/cron_expression"
    assert one(db, "SELECT enabled FROM metrics_executions") is True


@pytest.mark.parametrize("call", ["put", "patch"])
def test_a_change_that_the_gate_refuses_leaves_the_schedule(client: FlaskClient, db: Connection, call: str) -> None:
    client.put(PATH, json={"cron_expression": "@daily", "name": "digits"})
    before = rows(db, ALL)

    answer: Any = getattr(client, call)(PATH, json={"cron_expression": "5/15 * * * *", "name": "x" * 201})

    assert problem(answer) == (422, "refused")
    assert [(error["pointer"], error["hint"]) for error in answer.json["errors"]] == [
        ("#/cron_expression", "Write 5-59/15."),
        ("#/name", "Write at most 200 characters."),
    ]
    assert rows(db, ALL) == before


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"enabled": False}, ("digits", "0 9 * * *", "Europe/Warsaw", False)),
        ({"name": None}, (None, "0 9 * * *", "Europe/Warsaw", True)),
        ({"name": ""}, ("", "0 9 * * *", "Europe/Warsaw", True)),
        ({"name": "wine"}, ("wine", "0 9 * * *", "Europe/Warsaw", True)),
        ({"cron_expression": " @HOURLY "}, ("digits", "@hourly", "Europe/Warsaw", True)),
        ({"timezone": "UTC"}, ("digits", "0 9 * * *", "UTC", True)),
        ({"timezone": "UTC", "enabled": False, "name": None}, (None, "0 9 * * *", "UTC", False)),
        ({}, ("digits", "0 9 * * *", "Europe/Warsaw", True)),
    ],
)
def test_a_patch_changes_what_it_names(
    client: FlaskClient, db: Connection, change: dict[str, Any], row: tuple[Any, ...]
) -> None:
    client.put(PATH, json={"cron_expression": "0 9 * * *", "timezone": "Europe/Warsaw", "name": "digits"})

    answer: Any = client.patch(PATH, json=change)

    assert answer.status_code == 200
    assert rows(db, ROW) == [row]
    assert answer.headers["ETag"] == client.get(PATH).headers["ETag"]
    assert (answer.json["name"], answer.json["cron_expression"], answer.json["timezone"], answer.json["enabled"]) == row


@pytest.mark.parametrize("change", [{}, {"enabled": True}, {"cron_expression": "@DAILY", "name": "digits"}])
def test_a_patch_that_changes_nothing_changes_nothing(
    client: FlaskClient, db: Connection, change: dict[str, Any]
) -> None:
    first = client.put(PATH, json={"cron_expression": "@daily", "name": "digits"})
    before = rows(db, ALL)
    announced(db)

    answer = client.patch(PATH, json=change)

    assert (answer.status_code, answer.json) == (200, first.json)
    assert answer.headers["ETag"] == first.headers["ETag"]
    assert rows(db, ALL) == before
    assert announced(db) == []


def test_a_schedule_is_paused_and_resumed(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)

    paused: Any = client.patch(PATH, json={"enabled": False})
    set_clock(db, "2026-11-24 13:00:30+00")
    resumed: Any = client.patch(PATH, json={"enabled": True})

    assert (paused.json["status"], paused.json["next_run_at"]) == ("paused", None)
    assert (resumed.json["status"], resumed.json["next_run_at"]) == ("new", "2026-11-24T13:01:00Z")
    assert resumed.json["created_at"] == "2026-11-24T12:00:30Z"
    assert resumed.json["updated_at"] == "2026-11-24T13:00:30Z"


def test_a_new_name_neither_resumes_nor_restarts_anything(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    active_since = one(db, "SELECT active_since FROM metrics_executions")
    announced(db)

    client.patch(PATH, json={"name": "digits"})

    assert one(db, "SELECT active_since FROM metrics_executions") == active_since
    assert announced(db) == []


@pytest.mark.parametrize(
    ("change", "pointer", "said"),
    [
        ({"model_id": MODEL}, "#/model_id", '"model_id" is not a field; there are cron_expression, timezone, enabled,'),
        ({"cron_expression": None}, "#/cron_expression", "cron_expression is null; write a string"),
        ({"timezone": None}, "#/timezone", "timezone is null; write a string"),
        ({"enabled": None}, "#/enabled", "enabled is null; write true or false"),
        ([{"op": "replace", "path": "/enabled", "value": False}], "#", "write a JSON object"),
    ],
)
def test_a_wrong_patch_is_named(client: FlaskClient, db: Connection, change: Any, pointer: str, said: str) -> None:
    schedule(db)
    before = rows(db, ALL)

    answer: Any = client.patch(PATH, json=change)

    assert problem(answer) == (422, "invalid")
    assert said in answer.json["detail"]
    assert answer.json["errors"][0]["pointer"] == pointer
    assert rows(db, ALL) == before


BAD = "R R * * *"  # past the gate, and not in the normal form


@pytest.fixture
def bad_row(db: Connection) -> Connection:
    run(db, "SET session_replication_role = replica")
    schedule(db, MODEL, BAD)
    return db


def test_a_row_that_got_past_the_gate_can_be_named_and_mended(client: FlaskClient, bad_row: Connection) -> None:
    named: Any = client.patch(PATH, json={"name": "digits"})
    assert (named.status_code, named.json["status"], named.json["name"]) == (200, "error", "digits")

    mended: Any = client.patch(PATH, json={"cron_expression": "@daily"})
    assert (mended.status_code, mended.json["status"], mended.json["name"]) == (200, "new", "digits")


def test_a_row_that_got_past_the_gate_with_a_long_text_can_be_named(client: FlaskClient, db: Connection) -> None:
    run(db, "SET session_replication_role = replica")
    schedule(db, MODEL, "1," * 400 + "1 * * * *")

    assert client.patch(PATH, json={"name": "digits"}).status_code == 200


def test_another_change_of_a_row_that_got_past_the_gate_is_refused_in_the_gates_words(
    client: FlaskClient, bad_row: Connection
) -> None:
    answer: Any = client.patch(PATH, json={"timezone": "Europe/Warsaw"})

    assert problem(answer) == (422, "refused")
    assert answer.json["errors"][0]["pointer"] == "#/cron_expression"
    assert "is refused" in answer.json["detail"]
    assert rows(bad_row, "SELECT cron_expression, timezone FROM metrics_executions") == [(BAD, "UTC")]


@pytest.mark.parametrize("enabled", [True, False])
def test_a_run_is_asked_for(client: FlaskClient, db: Connection, enabled: bool) -> None:
    """Of a paused schedule too; by the clock of the system, to the millisecond."""
    set_clock(db, "2026-11-24 12:00:30.123456+00")
    schedule(db)
    schedule(db, OTHER)
    run(db, "UPDATE metrics_executions SET enabled = %s", enabled)
    before = client.get(PATH)
    announced(db)

    answer: Any = client.post(f"/schedule/{MODEL.upper()}/run")

    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/results/{MODEL}"
    assert answer.json == {"model_id": MODEL, "due_at": "2026-11-24T12:00:30.123Z"}
    requested = "SELECT model_id::text FROM metrics_executions WHERE run_requested_at = %s"
    assert one(db, requested, answer.json["due_at"]) == MODEL
    assert json.loads(announced(db)[0])["requested"] is True
    after = client.get(PATH)
    assert (after.json, after.headers["ETag"]) == (before.json, before.headers["ETag"])


def test_a_run_may_have_a_body_that_nobody_reads(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    for body, content_type in ((b"{}", "application/json"), (b"", "application/json"), (b"x", "text/plain")):
        assert client.post(f"{PATH}/run", data=body, content_type=content_type).status_code == 202


@pytest.mark.parametrize(("method", "path"), [("PATCH", PATH), ("POST", f"{PATH}/run")])
def test_what_is_missing_is_not_found(client: FlaskClient, db: Connection, method: str, path: str) -> None:
    schedule(db, OTHER)

    answer: Any = client.open(path, method=method, json={})

    assert problem(answer) == (404, "not-found")
    assert answer.json["detail"] == f"model {MODEL} has no schedule; POST /schedule makes one"
    assert rows(db, "SELECT model_id::text, run_requested_at FROM metrics_executions") == [(OTHER, None)]
