"""PUT and PATCH of one schedule, and running it now."""

import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.api_responses import problem
from tests.support.databases import MODEL, OTHER, Connection, execute, fetch_all, fetch_value, schedule, set_clock

PATH = f"/schedule/{MODEL}"
USER_COLUMNS = "SELECT name, cron_expression, timezone, enabled FROM metrics_executions"
ALL_SCHEDULES = "SELECT * FROM metrics_executions"


def read_notifications(db: Connection) -> list[Any]:
    """Return the payloads of the notifications since the last call."""
    execute(db, "LISTEN metrics_executions; NOTIFY metrics_executions, 'end'")
    db.poll()
    payloads = [notify.payload for notify in db.notifies]
    db.notifies.clear()
    return payloads[: payloads.index("end")]


def test_put_creates_a_schedule(client: FlaskClient, db: Connection) -> None:
    response: Any = client.put(f"/schedule/{MODEL.upper()}", json={"cron_expression": "@DAILY"})

    assert response.status_code == 201
    assert response.headers["Location"] == PATH
    assert response.headers["ETag"] == client.get(PATH).headers["ETag"]
    assert (response.json["model_id"], response.json["cron_expression"], response.json["status"]) == (
        MODEL,
        "@daily",
        "new",
    )
    assert fetch_all(db, USER_COLUMNS) == [(None, "@daily", "UTC", True)]


def test_put_replaces_all_fields(client: FlaskClient, db: Connection) -> None:
    body = {"cron_expression": "0 9 * * *", "timezone": "Europe/Warsaw", "enabled": False, "name": "digits"}
    client.put(PATH, json=body)
    assert fetch_all(db, USER_COLUMNS) == [("digits", "0 9 * * *", "Europe/Warsaw", False)]

    response = client.put(PATH, json={"cron_expression": "0 9 * * *"})

    assert response.status_code == 200
    assert fetch_all(db, USER_COLUMNS) == [(None, "0 9 * * *", "UTC", True)]


def test_repeated_put_changes_and_notifies_nothing(client: FlaskClient, db: Connection) -> None:
    body = {"cron_expression": "*/5 9-17 * * MON-FRI", "timezone": "Europe/Warsaw", "name": "digits"}
    read_notifications(db)
    first = client.put(PATH, json=body)
    before = fetch_all(db, ALL_SCHEDULES)
    assert len(read_notifications(db)) == 1

    second = client.put(PATH, json=body)

    assert (second.status_code, second.json) == (200, first.json)
    assert second.headers["ETag"] == first.headers["ETag"]
    assert fetch_all(db, ALL_SCHEDULES) == before
    assert read_notifications(db) == []


def test_put_keeps_a_requested_run(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    client.post(f"{PATH}/run")
    requested = fetch_value(db, "SELECT run_requested_at FROM metrics_executions")

    client.put(PATH, json={"cron_expression": "@daily"})

    assert fetch_value(db, "SELECT run_requested_at FROM metrics_executions") == requested


def test_put_accepts_the_model_id_of_its_path(client: FlaskClient) -> None:
    assert client.put(PATH, json={"model_id": MODEL.upper(), "cron_expression": "@daily"}).status_code == 201


def test_put_with_the_model_id_of_another_path_is_rejected(client: FlaskClient, db: Connection) -> None:
    response: Any = client.put(PATH, json={"model_id": OTHER, "cron_expression": "@daily"})

    assert problem(response) == (422, "invalid")
    assert response.json["errors"] == [{"detail": response.json["detail"], "pointer": "#/model_id"}]
    assert OTHER in response.json["detail"]
    assert MODEL in response.json["detail"]
    assert fetch_all(db, ALL_SCHEDULES) == []


def test_put_without_cron_expression_is_rejected(client: FlaskClient, db: Connection) -> None:
    """PUT gives a missing field its default, and the cron expression has none."""
    schedule(db)

    response: Any = client.put(PATH, json={"enabled": False})

    assert problem(response) == (422, "invalid")
    assert response.json["errors"][0]["pointer"] == "#/cron_expression"
    assert fetch_value(db, "SELECT enabled FROM metrics_executions") is True


@pytest.mark.parametrize("call", ["put", "patch"])
def test_rejected_change_leaves_the_schedule_unchanged(client: FlaskClient, db: Connection, call: str) -> None:
    client.put(PATH, json={"cron_expression": "@daily", "name": "digits"})
    before = fetch_all(db, ALL_SCHEDULES)

    response: Any = getattr(client, call)(PATH, json={"cron_expression": "5/15 * * * *", "name": "x" * 201})

    assert problem(response) == (422, "refused")
    assert [(error["pointer"], error["hint"]) for error in response.json["errors"]] == [
        ("#/cron_expression", "Write 5-59/15."),
        ("#/name", "Write at most 200 characters."),
    ]
    assert fetch_all(db, ALL_SCHEDULES) == before


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
def test_patch_changes_the_fields_in_its_body(
    client: FlaskClient, db: Connection, change: dict[str, Any], row: tuple[Any, ...]
) -> None:
    client.put(PATH, json={"cron_expression": "0 9 * * *", "timezone": "Europe/Warsaw", "name": "digits"})

    response: Any = client.patch(PATH, json=change)

    assert response.status_code == 200
    assert fetch_all(db, USER_COLUMNS) == [row]
    assert response.headers["ETag"] == client.get(PATH).headers["ETag"]
    assert (
        response.json["name"],
        response.json["cron_expression"],
        response.json["timezone"],
        response.json["enabled"],
    ) == row


@pytest.mark.parametrize("change", [{}, {"enabled": True}, {"cron_expression": "@DAILY", "name": "digits"}])
def test_patch_with_current_values_changes_nothing(client: FlaskClient, db: Connection, change: dict[str, Any]) -> None:
    first = client.put(PATH, json={"cron_expression": "@daily", "name": "digits"})
    before = fetch_all(db, ALL_SCHEDULES)
    read_notifications(db)

    response = client.patch(PATH, json=change)

    assert (response.status_code, response.json) == (200, first.json)
    assert response.headers["ETag"] == first.headers["ETag"]
    assert fetch_all(db, ALL_SCHEDULES) == before
    assert read_notifications(db) == []


def test_patch_pauses_and_resumes_a_schedule(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)

    paused: Any = client.patch(PATH, json={"enabled": False})
    set_clock(db, "2026-11-24 13:00:30+00")
    resumed: Any = client.patch(PATH, json={"enabled": True})

    assert (paused.json["status"], paused.json["next_run_at"]) == ("paused", None)
    assert (resumed.json["status"], resumed.json["next_run_at"]) == ("new", "2026-11-24T13:01:00Z")
    assert resumed.json["created_at"] == "2026-11-24T12:00:30Z"
    assert resumed.json["updated_at"] == "2026-11-24T13:00:30Z"


def test_patch_of_the_name_does_not_reactivate_the_schedule(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    active_since = fetch_value(db, "SELECT active_since FROM metrics_executions")
    read_notifications(db)

    client.patch(PATH, json={"name": "digits"})

    assert fetch_value(db, "SELECT active_since FROM metrics_executions") == active_since
    assert read_notifications(db) == []


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"model_id": MODEL}, "#/model_id", '"model_id" is not a field; there are cron_expression, timezone, enabled,'),
        ({"cron_expression": None}, "#/cron_expression", "cron_expression is null; write a string"),
        ({"timezone": None}, "#/timezone", "timezone is null; write a string"),
        ({"enabled": None}, "#/enabled", "enabled is null; write true or false"),
        ([{"op": "replace", "path": "/enabled", "value": False}], "#", "write a JSON object"),
    ],
)
def test_invalid_patch_is_rejected(client: FlaskClient, db: Connection, change: Any, pointer: str, detail: str) -> None:
    schedule(db)
    before = fetch_all(db, ALL_SCHEDULES)

    response: Any = client.patch(PATH, json=change)

    assert problem(response) == (422, "invalid")
    assert detail in response.json["detail"]
    assert response.json["errors"][0]["pointer"] == pointer
    assert fetch_all(db, ALL_SCHEDULES) == before


INVALID_CRON = "R R * * *"  # bypasses the validation trigger, and is not normalized


@pytest.fixture
def invalid_row(db: Connection) -> Connection:
    execute(db, "SET session_replication_role = replica")
    schedule(db, MODEL, INVALID_CRON)
    return db


def test_invalid_row_can_be_renamed_and_corrected(client: FlaskClient, invalid_row: Connection) -> None:
    renamed: Any = client.patch(PATH, json={"name": "digits"})
    assert (renamed.status_code, renamed.json["status"], renamed.json["name"]) == (200, "error", "digits")

    corrected: Any = client.patch(PATH, json={"cron_expression": "@daily"})
    assert (corrected.status_code, corrected.json["status"], corrected.json["name"]) == (200, "new", "digits")


def test_row_with_a_very_long_cron_can_be_renamed(client: FlaskClient, db: Connection) -> None:
    execute(db, "SET session_replication_role = replica")
    schedule(db, MODEL, "1," * 400 + "1 * * * *")

    assert client.patch(PATH, json={"name": "digits"}).status_code == 200


def test_other_change_of_an_invalid_row_is_rejected_by_the_validation_trigger(
    client: FlaskClient, invalid_row: Connection
) -> None:
    response: Any = client.patch(PATH, json={"timezone": "Europe/Warsaw"})

    assert problem(response) == (422, "refused")
    assert response.json["errors"][0]["pointer"] == "#/cron_expression"
    assert "is refused" in response.json["detail"]
    assert fetch_all(invalid_row, "SELECT cron_expression, timezone FROM metrics_executions") == [(INVALID_CRON, "UTC")]


@pytest.mark.parametrize("enabled", [True, False])
def test_run_is_requested(client: FlaskClient, db: Connection, enabled: bool) -> None:
    """Also for a paused schedule; by PostgreSQL's clock, in milliseconds."""
    set_clock(db, "2026-11-24 12:00:30.123456+00")
    schedule(db)
    schedule(db, OTHER)
    execute(db, "UPDATE metrics_executions SET enabled = %s", enabled)
    before = client.get(PATH)
    read_notifications(db)

    response: Any = client.post(f"/schedule/{MODEL.upper()}/run")

    assert response.status_code == 202
    assert response.headers["Location"] == f"/results/{MODEL}"
    assert response.json == {"model_id": MODEL, "due_at": "2026-11-24T12:00:30.123Z"}
    requested = "SELECT model_id::text FROM metrics_executions WHERE run_requested_at = %s"
    assert fetch_value(db, requested, response.json["due_at"]) == MODEL
    assert json.loads(read_notifications(db)[0])["requested"] is True
    after = client.get(PATH)
    assert (after.json, after.headers["ETag"]) == (before.json, before.headers["ETag"])


def test_body_of_a_run_request_is_ignored(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    for body, content_type in ((b"{}", "application/json"), (b"", "application/json"), (b"x", "text/plain")):
        assert client.post(f"{PATH}/run", data=body, content_type=content_type).status_code == 202


@pytest.mark.parametrize(("method", "path"), [("PATCH", PATH), ("POST", f"{PATH}/run")])
def test_unknown_model_is_not_found(client: FlaskClient, db: Connection, method: str, path: str) -> None:
    schedule(db, OTHER)

    response: Any = client.open(path, method=method, json={})

    assert problem(response) == (404, "not-found")
    assert response.json["detail"] == f"model {MODEL} has no schedule; POST /schedule makes one"
    assert fetch_all(db, "SELECT model_id::text, run_requested_at FROM metrics_executions") == [(OTHER, None)]
