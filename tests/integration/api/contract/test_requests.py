"""Requests that are wrong as such: bodies that are no JSON, other media types, other methods, unknown parameters."""

import codecs
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.api_responses import problem
from tests.support.databases import MODEL, Connection, one, schedule

BODY = {"model_id": MODEL, "cron_expression": "* * * * *"}
SCHEDULE = f"/schedule/{MODEL}"
MANY = json.dumps([{str(number): 1 for number in range(101)}]).encode()
LIMIT = 64 * 1024
BULK_LIMIT = 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "content_type", "status", "kind", "said"),
    [
        (b"{", "application/json", 400, "malformed", "the body is not JSON: Expecting property name"),
        (b"", "application/json", 400, "malformed", "the body is empty; write JSON"),
        (b"\xff", "application/json", 400, "malformed", "the body is not JSON"),
        (b"{} {}", "application/json", 400, "malformed", "the body is not JSON: Extra data"),
        (b'{"name": NaN}', "application/json", 400, "malformed", "NaN is not a JSON value; write a number or null"),
        (b'{"name": Infinity}', "application/json", 400, "malformed", "Infinity is not a JSON value"),
        (b'{"name": -Infinity}', "application/json", 400, "malformed", "-Infinity is not a JSON value"),
        (b'{"name": 1, "name": 1}', "application/json", 400, "malformed", '"name" is there twice; write it once'),
        (b'{"x": [{"y": 1, "\\u0079": 2}]}', "application/json", 400, "malformed", '"y" is there twice'),
        (b'{"\\ud800": 1, "\\ud800": 2}', "application/json", 400, "malformed", '"\ud800" is there twice'),
        (MANY, "application/json", 400, "malformed", "an object has 101 members; write at most 100"),
        (
            codecs.BOM_UTF8 + b"{}",
            "application/json",
            400,
            "malformed",
            "the body is not JSON: InternalServerError UTF-8 BOM",
        ),
        (json.dumps(BODY).encode("utf-16"), "application/json", 400, "malformed", "the body is not JSON"),
        (json.dumps(BODY).encode("utf-32-le"), "application/json", 400, "malformed", "the body is not JSON"),
        (b"[" * 60_000, "application/json", 400, "malformed", "nested too deeply"),
        (b'{"x":' * 10_000 + b"1" + b"}" * 10_000, "application/json", 400, "malformed", "nested too deeply"),
        (b'{"name": ' + b"9" * 5000 + b"}", "application/json", 400, "malformed", "the body is not JSON"),
        (b"[]", "application/json", 422, "invalid", "the body is []; write a JSON object"),
        (b"null", "application/json", 422, "invalid", "the body is null; write a JSON object"),
        (b'"x"', "application/json", 422, "invalid", 'the body is "x"; write a JSON object'),
        (b'{"name": 1e999}', "application/json", 422, "invalid", "cron_expression is missing"),
        (b'{"name": -1e400, "x": ' + b"9" * 4000 + b"}", "application/json", 422, "invalid", "is missing"),
        (b"{}", "text/plain", 415, "not-json", 'says to be "text/plain"; write JSON, and say so: Content-Type: appl'),
        (b"{}", "application/x-www-form-urlencoded", 415, "not-json", "Content-Type: application/json"),
        (b"{}", "multipart/form-data; boundary=x", 415, "not-json", "Content-Type: application/json"),
        (b"{}", "application/jsonp", 415, "not-json", "Content-Type: application/json"),
        (b"{}", "application/json, text/plain", 415, "not-json", "Content-Type: application/json"),
        (b"{}", f"text/{'x' * 9000}", 415, "not-json", "Content-Type: application/json"),
        (b"{}", None, 415, "not-json", "Content-Type: application/json"),
        (b" " * (LIMIT + 1), "application/json", 413, "too-large", "the body has more than 65,536 bytes; send less"),
    ],
)
def test_a_wrong_body_is_a_problem(
    client: FlaskClient, body: bytes, content_type: str | None, status: int, kind: str, said: str
) -> None:
    for call in (client.post, client.put, client.patch):
        answer: Any = call("/schedule" if call == client.post else SCHEDULE, data=body, content_type=content_type)

        assert problem(answer) == (status, kind)
        if call == client.post:
            assert said in answer.json["detail"]
        assert len(answer.data) < 2000


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8", 'application/json; charset="utf-8"; x=y'],
)
def test_a_media_type_may_have_parameters(client: FlaskClient, content_type: str) -> None:
    assert client.post("/schedule", data=json.dumps(BODY), content_type=content_type).status_code == 201


def test_a_merge_patch_may_say_what_it_is(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    answer = client.patch(SCHEDULE, data=b'{"enabled": false}', content_type="application/merge-patch+json")

    assert answer.status_code == 200


def test_json_with_blanks_and_escapes_up_to_the_limit_is_read(client: FlaskClient, db: Connection) -> None:
    body = json.dumps(BODY | {"name": "Größe 📈"}).encode()  # with escapes

    answer: Any = client.post("/schedule", data=body.ljust(LIMIT, b"\n"), content_type="application/json")

    assert answer.status_code == 201
    assert one(db, "SELECT name FROM metrics_executions") == "Größe 📈"


def test_many_schedules_at_once_may_be_larger(client: FlaskClient) -> None:
    body = b"[]".ljust(BULK_LIMIT)

    assert client.put("/schedule", data=body, content_type="application/json").status_code == 200
    answer: Any = client.put("/schedule", data=body + b" ", content_type="application/json")

    assert problem(answer) == (413, "too-large")
    assert answer.json["detail"] == "the body has more than 4,194,304 bytes; send less at once"


PATHS = {
    "/schedule": {"GET", "HEAD", "OPTIONS", "POST", "PUT"},
    SCHEDULE: {"GET", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE"},
    f"{SCHEDULE}/run": {"POST", "OPTIONS"},
    "/results": {"GET", "HEAD", "OPTIONS"},
    f"/results/{MODEL}": {"GET", "HEAD", "OPTIONS"},
    f"/results/{MODEL}/history": {"GET", "HEAD", "OPTIONS"},
    "/cron": {"GET", "HEAD", "OPTIONS"},
    "/healthz": {"GET", "HEAD", "OPTIONS"},
    "/readyz": {"GET", "HEAD", "OPTIONS"},
    "/status": {"GET", "HEAD", "OPTIONS"},
    "/openapi.json": {"GET", "HEAD", "OPTIONS"},
    "/docs": {"GET", "HEAD", "OPTIONS"},
}


@pytest.mark.parametrize("path", PATHS)
def test_a_wrong_method_names_the_right_ones(client: FlaskClient, path: str) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - PATHS[path]:
        answer: Any = client.open(path, method=method)

        assert problem(answer) == (405, "method-not-allowed"), method
        assert set(answer.headers["Allow"].split(", ")) == PATHS[path], method
        assert answer.json["detail"] == f"{path} takes {', '.join(sorted(PATHS[path] - {'HEAD', 'OPTIONS'}))}"


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/schedule//run", "/results///history", "/schedule/", f"{SCHEDULE}/", f"{SCHEDULE}/runs", "/docs/x"],
)
def test_an_unknown_address_is_a_problem(client: FlaskClient, path: str) -> None:
    answer: Any = client.get(path)

    assert problem(answer) == (404, "not-found")
    assert "/docs" in answer.json["detail"]


@pytest.mark.parametrize(
    ("method", "path", "others"),
    [
        ("GET", "/schedule", "there are cron, zone, enabled, status, search, limit, after"),
        ("POST", "/schedule", "it has none"),
        ("PUT", "/schedule", "it has none"),
        ("GET", SCHEDULE, "it has none"),
        ("PATCH", SCHEDULE, "it has none"),
        ("DELETE", SCHEDULE, "it has none"),
        ("POST", f"{SCHEDULE}/run", "it has none"),
        ("GET", "/results", "there are model_id"),
        ("GET", f"/results/{MODEL}", "it has none"),
        ("GET", f"/results/{MODEL}/history", "there are from, to, limit, order"),
    ],
)
def test_an_unknown_parameter_is_named(
    client: FlaskClient, db: Connection, method: str, path: str, others: str
) -> None:
    schedule(db)

    answer: Any = client.open(f"{path}?Lim%20it=%ff", method=method)

    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"] == [{"detail": answer.json["detail"], "parameter": "Lim it"}]
    assert answer.json["detail"] == f'"Lim it" is not a parameter of {path}; {others}'
    assert one(db, "SELECT count(*) FROM metrics_executions WHERE enabled AND run_requested_at IS NULL") == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/schedule?limit=1&limit=1", "limit"),
        (f"/results/{MODEL}/history?from=2026-11-24T12:00:00Z&from=x", "from"),
        (f"/results/{MODEL}/history?order=asc&limit=1&order=asc&order=desc", "order"),
    ],
)
def test_a_parameter_that_is_there_twice_is_refused(client: FlaskClient, path: str, name: str) -> None:
    answer: Any = client.get(path)

    assert problem(answer) == (422, "invalid")
    assert answer.json["errors"] == [{"detail": answer.json["detail"], "parameter": name}]
    assert answer.json["detail"] == f"{name} is there {path.count(f'{name}=')} times; write it once"
