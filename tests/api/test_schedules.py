"""The schedules over HTTP."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.databases import MODEL, OTHER, Connection, model_ids, one, rows, run, schedule, set_clock

NOON = "2026-11-24 12:00:30+00"
BODY = {"model_id": MODEL, "cron_expression": "*/1 * * * *"}


def test_the_first_post_creates(client: FlaskClient, db: Connection) -> None:
    set_clock(db, NOON)

    answer = client.post("/schedule", json=BODY)

    assert answer.status_code == 201
    assert answer.headers["Location"] == f"/schedule/{MODEL}"
    assert answer.json == {
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


def test_a_second_post_replaces_all_of_it(client: FlaskClient, db: Connection) -> None:
    client.post("/schedule", json={**BODY, "name": "digits", "timezone": "Europe/Warsaw", "enabled": False})

    answer = client.post("/schedule", json={**BODY, "cron_expression": "@DAILY"})

    assert answer.status_code == 200
    assert rows(db, "SELECT name, cron_expression, timezone, enabled FROM metrics_executions") == [
        (None, "@daily", "UTC", True)
    ]


def test_the_same_post_again_changes_nothing(client: FlaskClient, db: Connection) -> None:
    client.post("/schedule", json=BODY)
    before = rows(db, "SELECT * FROM metrics_executions")

    assert client.post("/schedule", json=BODY).status_code == 200

    assert rows(db, "SELECT * FROM metrics_executions") == before


def test_a_post_takes_everything(client: FlaskClient) -> None:
    body = {
        "model_id": MODEL.upper(),
        "cron_expression": "0 9 * * mon-fri",
        "timezone": "Europe/Warsaw",
        "enabled": False,
        "name": "Größe 📈",
    }

    answer: Any = client.post("/schedule", json=body).json

    assert answer == answer | body | {"model_id": MODEL}
    assert answer["next_run_at"] is None
    assert answer["status"] == "paused"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"model_id": "42"}, 'model_id "42" is not a UUID; write one such as 550e8400-e29b-41d4-a716-446655440000'),
        ({"model_id": MODEL.replace("-", "")}, "is not a UUID"),
        ({"model_id": 42}, "model_id is 42; write a string"),
        ({"cron_expression": None}, "cron_expression is null; write a string"),
        ({"cron_expression": "* * * * *\0"}, "which holds characters that PostgreSQL cannot store"),
        ({"cron_expression": "\ud800"}, "which holds characters that PostgreSQL cannot store"),
        ({"timezone": ["UTC"]}, 'timezone is ["UTC"]; write a string'),
        ({"enabled": "yes"}, 'enabled is "yes"; write true or false'),
        ({"enabled": 1}, "enabled is 1; write true or false"),
        ({"name": 7}, "name is 7; write a string or null"),
        ({"cron": "* * * * *"}, '"cron" is not a field of a schedule; there are model_id, cron_expression,'),
        ({"name": "x" * 201}, "it has 201 characters"),
    ],
)
def test_a_wrong_value_is_named(client: FlaskClient, db: Connection, change: dict[str, Any], said: str) -> None:
    answer = client.post("/schedule", json=BODY | change)

    assert answer.status_code == 422
    assert answer.content_type == "application/problem+json"
    assert said in answer.json["detail"]  # type: ignore[index]
    assert rows(db, "SELECT FROM metrics_executions") == []


@pytest.mark.parametrize("missing", ["model_id", "cron_expression"])
def test_a_missing_field_is_named(client: FlaskClient, missing: str) -> None:
    answer = client.post("/schedule", json={name: value for name, value in BODY.items() if name != missing})

    assert answer.status_code == 422
    assert answer.json["detail"] == f"{missing} is missing; it is required"  # type: ignore[index]


def test_the_gates_words_are_passed_on(client: FlaskClient) -> None:
    cron = client.post("/schedule", json=BODY | {"cron_expression": "5/15 * * * *"})
    zone = client.post("/schedule", json=BODY | {"timezone": "europe/warsaw"})

    assert cron.json == {
        "type": "urn:cyclic-metrics:problem:refused",
        "title": "Unprocessable Entity",
        "status": 422,
        "detail": 'cron_expression "5/15 * * * *" is refused: minute "5/15" has a step without a range',
        "hint": "Write 5-59/15.",
    }
    assert (zone.status_code, zone.json["hint"]) == (422, "Write Europe/Warsaw.")  # type: ignore[index]


@pytest.mark.parametrize(
    ("body", "content_type", "status", "said"),
    [
        (b"{", "application/json", 400, "the body is not JSON: Expecting property name"),
        (b"", "application/json", 400, "the body is not JSON"),
        (b"\xff", "application/json", 400, "the body is not JSON"),
        (b"[]", "application/json", 422, "the body is not a JSON object"),
        (b"{}", "text/plain", 415, "Content-Type: application/json"),
        (b" " * 70_000, "application/json", 413, "data value transmitted exceeds the capacity limit"),
    ],
)
def test_a_wrong_body_is_a_problem(client: FlaskClient, body: bytes, content_type: str, status: int, said: str) -> None:
    answer = client.post("/schedule", data=body, content_type=content_type)

    assert (answer.status_code, answer.content_type) == (status, "application/problem+json")
    assert said in answer.json["detail"]  # type: ignore[index]


def test_a_schedule_says_when_it_runs_next(client: FlaskClient, db: Connection) -> None:
    set_clock(db, NOON)
    schedule(db, MODEL, "0 9 * * mon-fri", "Europe/Warsaw")
    assert client.get(f"/schedule/{MODEL}").json["next_run_at"] == "2026-11-25T08:00:00Z"  # type: ignore[index]

    run(
        db,
        "INSERT INTO crons SELECT cron_expression, timezone, '2026-11-26 08:00+00', '2026-11-25 08:00+00', NULL, 'x'"
        " FROM metrics_executions",
    )
    answer = client.get(f"/schedule/{MODEL.upper()}").json
    assert answer["next_run_at"] == "2026-11-26T08:00:00Z"  # type: ignore[index]
    assert answer["last_run_at"] == "2026-11-25T08:00:00Z"  # type: ignore[index]

    run(db, "UPDATE crons SET next_due_at = NULL, error = 'cannot be fired'")
    answer = client.get(f"/schedule/{MODEL}").json
    assert (answer["status"], answer["error"], answer["next_run_at"]) == ("error", "cannot be fired", None)  # type: ignore[index]


def test_a_row_that_got_past_the_gate_says_what_is_wrong(client: FlaskClient, db: Connection) -> None:
    run(db, "SET session_replication_role = replica")
    schedule(db, cron="R R * * *")

    answer = client.get(f"/schedule/{MODEL}")

    assert answer.status_code == 200
    assert (answer.json["status"], answer.json["next_run_at"]) == ("error", None)  # type: ignore[index]
    assert "R R * * *" in answer.json["error"]  # type: ignore[index]


def test_a_delete_deletes(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    schedule(db, OTHER)

    answer = client.delete(f"/schedule/{MODEL}")

    assert (answer.status_code, answer.data) == (204, b"")
    assert one(db, "SELECT model_id::text FROM metrics_executions") == OTHER


@pytest.mark.parametrize("method", ["get", "delete"])
def test_an_unknown_model_is_not_found(client: FlaskClient, method: str) -> None:
    answer = getattr(client, method)(f"/schedule/{MODEL}")

    assert answer.status_code == 404
    assert answer.json["detail"] == f"model {MODEL} has no schedule"


@pytest.mark.parametrize("path", ["/schedule/42", "/results/42"])
def test_a_path_without_a_uuid_is_refused(client: FlaskClient, path: str) -> None:
    assert client.get(path).status_code == 422


def test_the_list_comes_in_pages(client: FlaskClient, db: Connection) -> None:
    ids = sorted(model_ids(5))
    for model_id in ids:
        schedule(db, model_id)
    assert [found["model_id"] for found in client.get("/schedule").json] == ids  # type: ignore[union-attr]

    found, page = [], "/schedule?limit=2"
    while page:
        answer = client.get(page)
        found += [each["model_id"] for each in answer.json]  # type: ignore[union-attr]
        link = answer.headers.get("Link", "")
        page = link.removesuffix('>; rel="next"').removeprefix("<")

    assert found == ids


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=ten", "limit=9999999999", "after=x"])
def test_a_wrong_page_is_refused(client: FlaskClient, query: str) -> None:
    answer = client.get(f"/schedule?{query}")

    assert answer.status_code == 422
    assert answer.json["detail"].startswith(query.partition("=")[0])  # type: ignore[index]


def test_a_wrong_method_names_the_right_ones(client: FlaskClient) -> None:
    answer = client.put("/schedule")

    assert answer.status_code == 405
    assert "POST" in answer.headers["Allow"]
