"""POST, GET and DELETE of one schedule, and the pages of the list."""

from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from core.results.models import Result
from core.results.repository import ResultStore
from tests.support.api_responses import next_page_url, problem
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    execute,
    fetch_all,
    fetch_value,
    model_ids,
    schedule,
    set_clock,
)

NOON = "2026-11-24 12:00:30+00"
DUE_AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
BODY = {"model_id": MODEL, "cron_expression": "*/1 * * * *"}


def test_first_post_creates_a_schedule(client: FlaskClient, db: Connection) -> None:
    set_clock(db, NOON)

    response = client.post("/schedule", json=BODY)

    assert response.status_code == 201
    assert response.headers["Location"] == f"/schedule/{MODEL}"
    assert response.headers["ETag"] == client.get(f"/schedule/{MODEL}").headers["ETag"]
    assert response.json == {
        "model_id": MODEL,
        "name": None,
        "cron_expression": "*/1 * * * *",
        "timezone": "UTC",
        "enabled": True,
        "status": "new",
        "next_run_at": "2026-11-24T12:01:00Z",
        "last_run_at": None,
        "error": None,
        "created_at": "2026-11-24T12:00:30Z",
        "updated_at": "2026-11-24T12:00:30Z",
    }


def test_second_post_replaces_all_fields(client: FlaskClient, db: Connection) -> None:
    client.post("/schedule", json={**BODY, "name": "digits", "timezone": "Europe/Warsaw", "enabled": False})

    response = client.post("/schedule", json={**BODY, "cron_expression": "@DAILY"})

    assert response.status_code == 200
    assert response.headers["Location"] == f"/schedule/{MODEL}"
    assert response.headers["ETag"] == client.get(f"/schedule/{MODEL}").headers["ETag"]
    assert fetch_all(db, "SELECT name, cron_expression, timezone, enabled FROM metrics_executions") == [
        (None, "@daily", "UTC", True)
    ]


def test_repeated_post_changes_nothing(client: FlaskClient, db: Connection) -> None:
    client.post("/schedule", json=BODY)
    before = fetch_all(db, "SELECT * FROM metrics_executions")

    assert client.post("/schedule", json=BODY).status_code == 200

    assert fetch_all(db, "SELECT * FROM metrics_executions") == before


def test_post_accepts_all_fields(client: FlaskClient) -> None:
    body = {
        "model_id": MODEL.upper(),
        "cron_expression": "0 9 * * mon-fri",
        "timezone": "Europe/Warsaw",
        "enabled": False,
        "name": "Größe 📈",
    }

    response: Any = client.post("/schedule", json=body).json

    assert response == response | body | {"model_id": MODEL}
    assert response["next_run_at"] is None
    assert response["status"] == "paused"


UUID_REMEDY = "write a UUID such as 550e8400-e29b-41d4-a716-446655440000"
TEXT_REMEDY = "write it without NUL and half surrogate pairs, which PostgreSQL cannot store"


@pytest.mark.parametrize(
    ("change", "pointer", "detail"),
    [
        ({"model_id": "42"}, "#/model_id", f'model_id is "42"; {UUID_REMEDY}'),
        (
            {"model_id": MODEL.replace("-", "")},
            "#/model_id",
            f'model_id is "550e8400e29b41d4a716446655440000"; {UUID_REMEDY}',
        ),
        ({"model_id": f"{{{MODEL}}}"}, "#/model_id", UUID_REMEDY),
        ({"model_id": f"{MODEL}\n"}, "#/model_id", UUID_REMEDY),
        ({"model_id": f"urn:uuid:{MODEL}"}, "#/model_id", UUID_REMEDY),
        ({"model_id": 42}, "#/model_id", f"model_id is 42; {UUID_REMEDY}"),
        ({"cron_expression": None}, "#/cron_expression", "cron_expression is null; write a string"),
        ({"cron_expression": "* * * * *\0"}, "#/cron_expression", TEXT_REMEDY),
        ({"cron_expression": "\ud800"}, "#/cron_expression", f'cron_expression is "\\ud800"; {TEXT_REMEDY}'),
        ({"name": "\udfff\ud800"}, "#/name", TEXT_REMEDY),
        ({"timezone": ["UTC"]}, "#/timezone", 'timezone is ["UTC"]; write a string'),
        ({"timezone": None}, "#/timezone", "timezone is null; write a string"),
        ({"enabled": "yes"}, "#/enabled", 'enabled is "yes"; write true or false'),
        ({"enabled": 1}, "#/enabled", "enabled is 1; write true or false"),
        ({"enabled": None}, "#/enabled", "enabled is null; write true or false"),
        ({"name": 7}, "#/name", "name is 7; write a string or null"),
        ({"name": {}}, "#/name", "name is {}; write a string or null"),
        (
            {"cron": "* * * * *"},
            "#/cron",
            '"cron" is not a field; there are cron_expression, timezone, enabled, name, model_id',
        ),
        ({"a/b~c d%é": 1}, "#/a~1b~0c%20d%25%C3%A9", "is not a field"),
        ({"": 1}, "#/", '"" is not a field'),
    ],
)
def test_invalid_value_is_reported(
    client: FlaskClient, db: Connection, change: dict[str, Any], pointer: str, detail: str
) -> None:
    response: Any = client.post("/schedule", json=BODY | change)

    assert problem(response) == (422, "invalid")
    assert detail in response.json["detail"]
    assert response.json["errors"] == [{"detail": response.json["detail"], "pointer": pointer}]
    assert fetch_all(db, "SELECT FROM metrics_executions") == []


def test_several_invalid_values_are_reported_together(client: FlaskClient) -> None:
    response: Any = client.post("/schedule", json={"model_id": 1, "enabled": 2, "name": 3, "nickname": 4})

    assert problem(response) == (422, "invalid")
    assert response.json["detail"] == "cron_expression is missing; it is required (and 4 more, see errors)"
    pointers = {"#/cron_expression", "#/model_id", "#/enabled", "#/name", "#/nickname"}
    assert {error["pointer"] for error in response.json["errors"]} == pointers


@pytest.mark.parametrize("missing", ["model_id", "cron_expression"])
def test_missing_field_is_reported(client: FlaskClient, missing: str) -> None:
    response: Any = client.post("/schedule", json={name: value for name, value in BODY.items() if name != missing})

    assert problem(response) == (422, "invalid")
    assert response.json["detail"] == f"{missing} is missing; it is required"
    assert response.json["errors"][0]["pointer"] == f"#/{missing}"


def test_errors_of_the_validation_trigger_are_reported(client: FlaskClient) -> None:
    cron = client.post("/schedule", json=BODY | {"cron_expression": "5/15 * * * *"})
    zone: Any = client.post("/schedule", json=BODY | {"timezone": "europe/warsaw"})
    name: Any = client.post("/schedule", json=BODY | {"name": "x" * 201})

    detail = 'cron_expression "5/15 * * * *" is refused: minute "5/15" has a step without a range'
    assert cron.json == {
        "type": "urn:cyclic-metrics:problem:refused",
        "title": "Schedule rejected",
        "status": 422,
        "detail": detail,
        "errors": [{"detail": detail, "pointer": "#/cron_expression", "hint": "Write 5-59/15."}],
    }
    assert problem(zone) == (422, "refused")
    assert [(error["pointer"], error["hint"]) for error in zone.json["errors"]] == [
        ("#/timezone", "Write Europe/Warsaw.")
    ]
    assert problem(name) == (422, "refused")
    assert "it has 201 characters" in name.json["detail"]
    assert [(error["pointer"], error["hint"]) for error in name.json["errors"]] == [
        ("#/name", "Write at most 200 characters.")
    ]


def test_all_rejected_values_are_reported_together(client: FlaskClient) -> None:
    body = BODY | {"cron_expression": "60 * * * *", "timezone": "Mars", "name": "x" * 201}

    response: Any = client.post("/schedule", json=body)

    assert problem(response) == (422, "refused")
    assert response.json["detail"].endswith(" (and 2 more, see errors)")
    assert [error["pointer"] for error in response.json["errors"]] == ["#/cron_expression", "#/name", "#/timezone"]


@pytest.mark.parametrize("length", [513, 60_000])
def test_too_long_cron_expression_is_rejected(client: FlaskClient, length: int) -> None:
    response: Any = client.post("/schedule", json=BODY | {"cron_expression": "1," * (length // 2) + "1 * * * *"})

    assert problem(response) == (422, "refused")
    assert response.json["errors"][0]["pointer"] == "#/cron_expression"


def test_next_and_last_run_of_a_schedule(client: FlaskClient, db: Connection) -> None:
    set_clock(db, NOON)
    schedule(db, MODEL, "0 9 * * mon-fri", "Europe/Warsaw")
    assert client.get(f"/schedule/{MODEL}").json["next_run_at"] == "2026-11-25T08:00:00Z"  # type: ignore[index]

    execute(
        db,
        "INSERT INTO crons SELECT cron_expression, timezone, '2026-11-26 08:00+00', '2026-11-25 08:00+00', NULL, 'x'"
        " FROM metrics_executions",
    )
    response = client.get(f"/schedule/{MODEL.upper()}").json
    assert response["next_run_at"] == "2026-11-26T08:00:00Z"  # type: ignore[index]
    assert response["last_run_at"] == "2026-11-25T08:00:00Z"  # type: ignore[index]

    execute(db, "UPDATE crons SET next_due_at = NULL, error = 'cannot be fired'")
    response = client.get(f"/schedule/{MODEL}").json
    assert (response["status"], response["error"], response["next_run_at"]) == ("error", "cannot be fired", None)  # type: ignore[index]


def test_invalid_row_has_an_error(client: FlaskClient, db: Connection) -> None:
    execute(db, "SET session_replication_role = replica")
    schedule(db, cron="R R * * *")

    response = client.get(f"/schedule/{MODEL}")

    assert response.status_code == 200
    assert (response.json["status"], response.json["next_run_at"]) == ("error", None)  # type: ignore[index]
    assert "R R * * *" in response.json["error"]  # type: ignore[index]


def test_delete_removes_one_schedule(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    schedule(db, OTHER)

    response = client.delete(f"/schedule/{MODEL}")

    assert (response.status_code, response.data) == (204, b"")
    assert fetch_value(db, "SELECT model_id::text FROM metrics_executions") == OTHER


def test_delete_keeps_the_results(client: FlaskClient, db: Connection, redis_client: redis.Redis) -> None:
    schedule(db)
    ResultStore(redis_client).save([Result(MODEL, DUE_AT, DUE_AT, "ok", 0.5, 2, 7, DUE_AT)])

    client.delete(f"/schedule/{MODEL.upper()}")

    assert client.get(f"/schedule/{MODEL}").status_code == 404
    assert client.get(f"/results/{MODEL}").status_code == 200
    assert client.delete(f"/schedule/{MODEL}").status_code == 404


@pytest.mark.parametrize("method", ["get", "delete"])
def test_unknown_model_is_not_found(client: FlaskClient, method: str) -> None:
    response: Any = getattr(client, method)(f"/schedule/{MODEL}")

    assert problem(response) == (404, "not-found")
    assert response.json["detail"] == f"model {MODEL} has no schedule; POST /schedule makes one"


@pytest.mark.parametrize(
    "path",
    [
        "/schedule/42",
        "/results/42",
        "/results/42/history",
        f"/schedule/{MODEL}0",
        f"/schedule/{MODEL}%0A",
        "/schedule/%00",
        "/schedule/%ff%fe",
        f"/schedule/{'x' * 9000}",
    ],
)
def test_path_without_uuid_is_rejected(client: FlaskClient, path: str) -> None:
    response: Any = client.get(path)

    assert problem(response) == (422, "invalid")
    assert response.json["errors"] == [{"detail": response.json["detail"], "parameter": "model_id"}]


@pytest.mark.parametrize(
    ("search", "is_found"),
    [("", True), ("550E8400-E29B", True), ("550e8400e29b", True), (MODEL, True), (MODEL.replace("-", "") + "0", False)],
)
def test_search_for_the_beginning_of_an_id(client: FlaskClient, db: Connection, search: str, is_found: bool) -> None:
    schedule(db)

    response: Any = client.get("/schedule", query_string={"search": search})

    assert [item["model_id"] for item in response.json] == [MODEL] * is_found


def test_list_is_paginated(client: FlaskClient, db: Connection) -> None:
    ids = sorted(model_ids(5))
    for model_id in ids:
        schedule(db, model_id)
    assert [item["model_id"] for item in client.get("/schedule").json] == ids  # type: ignore[union-attr]

    listed: list[str] = []
    page: str | None = "/schedule?limit=2"
    while page:
        response: Any = client.get(page)
        listed += [item["model_id"] for item in response.json]
        page = next_page_url(response)

    assert listed == ids


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=ten", "limit=9999999999"])
def test_invalid_limit_is_rejected(client: FlaskClient, query: str) -> None:
    response: Any = client.get(f"/schedule?{query}")

    assert problem(response) == (422, "invalid")
    assert response.json["detail"].startswith(query.partition("=")[0])
    assert response.json["errors"][0]["parameter"] == "limit"
