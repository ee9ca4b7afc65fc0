"""Invalid requests to any endpoint: malformed bodies, wrong media types and methods, unknown parameters."""

import codecs
import json
from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.api_responses import problem
from tests.support.databases import MODEL, Connection, fetch_value, schedule

BODY = {"model_id": MODEL, "cron_expression": "* * * * *"}
SCHEDULE = f"/schedule/{MODEL}"
TOO_MANY_MEMBERS = json.dumps([{str(number): 1 for number in range(101)}]).encode()
LIMIT = 64 * 1024
BULK_LIMIT = 4 * 1024 * 1024


@pytest.mark.parametrize(
    ("body", "content_type", "status", "kind", "detail"),
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
        (TOO_MANY_MEMBERS, "application/json", 400, "malformed", "an object has 101 members; write at most 100"),
        (
            codecs.BOM_UTF8 + b"{}",
            "application/json",
            400,
            "malformed",
            "the body is not JSON: Unexpected UTF-8 BOM",
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
        (
            b"{}",
            "text/plain",
            415,
            "not-json",
            'Content-Type is "text/plain"; send JSON with Content-Type: application/json',
        ),
        (b"{}", "application/x-www-form-urlencoded", 415, "not-json", "Content-Type: application/json"),
        (b"{}", "multipart/form-data; boundary=x", 415, "not-json", "Content-Type: application/json"),
        (b"{}", "application/jsonp", 415, "not-json", "Content-Type: application/json"),
        (b"{}", "application/json, text/plain", 415, "not-json", "Content-Type: application/json"),
        (b"{}", f"text/{'x' * 9000}", 415, "not-json", "Content-Type: application/json"),
        (b"{}", None, 415, "not-json", "Content-Type: application/json"),
        (b" " * (LIMIT + 1), "application/json", 413, "too-large", "the body has more than 65,536 bytes; send less"),
    ],
)
def test_malformed_body_is_rejected(
    client: FlaskClient, body: bytes, content_type: str | None, status: int, kind: str, detail: str
) -> None:
    for send in (client.post, client.put, client.patch):
        response: Any = send("/schedule" if send == client.post else SCHEDULE, data=body, content_type=content_type)

        assert problem(response) == (status, kind)
        if send == client.post:
            assert detail in response.json["detail"]
        assert len(response.data) < 2000


@pytest.mark.parametrize(
    "content_type",
    ["application/json; charset=utf-8", "APPLICATION/JSON;charset=UTF-8", 'application/json; charset="utf-8"; x=y'],
)
def test_media_type_with_parameters_is_accepted(client: FlaskClient, content_type: str) -> None:
    assert client.post("/schedule", data=json.dumps(BODY), content_type=content_type).status_code == 201


def test_merge_patch_media_type_is_accepted(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    response = client.patch(SCHEDULE, data=b'{"enabled": false}', content_type="application/merge-patch+json")

    assert response.status_code == 200


def test_json_with_whitespace_and_escapes_up_to_the_size_limit_is_accepted(client: FlaskClient, db: Connection) -> None:
    body = json.dumps(BODY | {"name": "Größe 📈"}).encode()  # with escapes

    response: Any = client.post("/schedule", data=body.ljust(LIMIT, b"\n"), content_type="application/json")

    assert response.status_code == 201
    assert fetch_value(db, "SELECT name FROM metrics_executions") == "Größe 📈"


def test_bulk_body_has_a_larger_size_limit(client: FlaskClient) -> None:
    body = b"[]".ljust(BULK_LIMIT)

    assert client.put("/schedule", data=body, content_type="application/json").status_code == 200
    response: Any = client.put("/schedule", data=body + b" ", content_type="application/json")

    assert problem(response) == (413, "too-large")
    assert response.json["detail"] == "the body has more than 4,194,304 bytes; send less at once"


ALLOWED_METHODS = {
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


@pytest.mark.parametrize("path", ALLOWED_METHODS)
def test_unsupported_method_is_405_with_the_allowed_methods(client: FlaskClient, path: str) -> None:
    for method in {"GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"} - ALLOWED_METHODS[path]:
        response: Any = client.open(path, method=method)

        assert problem(response) == (405, "method-not-allowed"), method
        assert set(response.headers["Allow"].split(", ")) == ALLOWED_METHODS[path], method
        assert (
            response.json["detail"]
            == f"{path} accepts {', '.join(sorted(ALLOWED_METHODS[path] - {'HEAD', 'OPTIONS'}))}"
        )


@pytest.mark.parametrize(
    "path",
    ["/nothing", "/schedule//run", "/results///history", "/schedule/", f"{SCHEDULE}/", f"{SCHEDULE}/runs", "/docs/x"],
)
def test_unknown_path_is_404(client: FlaskClient, path: str) -> None:
    response: Any = client.get(path)

    assert problem(response) == (404, "not-found")
    assert "/docs" in response.json["detail"]


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
def test_unknown_query_parameter_is_rejected_by_name(
    client: FlaskClient, db: Connection, method: str, path: str, others: str
) -> None:
    schedule(db)

    response: Any = client.open(f"{path}?Lim%20it=%ff", method=method)

    assert problem(response) == (422, "invalid")
    assert response.json["errors"] == [{"detail": response.json["detail"], "parameter": "Lim it"}]
    assert response.json["detail"] == f'"Lim it" is not a parameter of {path}; {others}'
    assert fetch_value(db, "SELECT count(*) FROM metrics_executions WHERE enabled AND run_requested_at IS NULL") == 1


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("/schedule?limit=1&limit=1", "limit"),
        (f"/results/{MODEL}/history?from=2026-11-24T12:00:00Z&from=x", "from"),
        (f"/results/{MODEL}/history?order=asc&limit=1&order=asc&order=desc", "order"),
    ],
)
def test_repeated_query_parameter_is_rejected(client: FlaskClient, path: str, name: str) -> None:
    response: Any = client.get(path)

    assert problem(response) == (422, "invalid")
    assert response.json["errors"] == [{"detail": response.json["detail"], "parameter": name}]
    assert response.json["detail"] == f"{name} is there {path.count(f'{name}=')} times; write it once"
