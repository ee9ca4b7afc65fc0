"""Access control, tested on every method of every path."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers

from api.main import create_app
from api.settings import Settings
from api.tokens import make
from tests.support.databases import MODEL, Connection, execute, fetch_all

READ, READ_ENTRY = make("grafana", may_write=False)
WRITE, WRITE_ENTRY = make("ci", may_write=True)
HEALTH_CHECKS = ("/healthz", "/readyz")
PUBLIC_PATHS = ("/sign-in", "/sign-out", "/static/x")  # see test_sign_in.py
SAFE_METHODS = {"GET", "HEAD", "OPTIONS"}


def endpoints(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield each method of each path, so that new ones are tested too."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods or ()):
            yield method, rule.rule.replace("<model_id>", MODEL).replace("<name>", "x").replace("<path:filename>", "x")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def app_with_tokens(env: dict[str, str]) -> Flask:
    """The API with a read-only and a read-write token."""
    return create_app(Settings.from_env(env | {"API_TOKENS": f"{READ_ENTRY},{WRITE_ENTRY}"}))


@pytest.fixture
def schedule_row(db: Connection) -> str:
    execute(db, "INSERT INTO metrics_executions (model_id, cron_expression) VALUES (%s, '@daily')", MODEL)
    return schedule_rows(db)


def schedule_rows(db: Connection) -> str:
    return str(fetch_all(db, "SELECT * FROM metrics_executions ORDER BY id"))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        bearer(""),
        bearer("cm_wrong"),
        bearer(WRITE[:-1]),
        {"Authorization": WRITE},
        {"Authorization": f"Basic {WRITE}"},
        {"Cookie": f"Authorization=Bearer {WRITE}", "X-Api-Key": WRITE},
    ],
)
def test_only_health_checks_are_served_without_a_token(
    app_with_tokens: Flask, db: Connection, schedule_row: str, headers: dict[str, str]
) -> None:
    client = app_with_tokens.test_client()
    assert {path: client.get(path, headers=headers).status_code for path in HEALTH_CHECKS} == dict.fromkeys(
        HEALTH_CHECKS, 200
    )

    for method, path in [
        *endpoints(app_with_tokens),
        ("GET", "/"),
        ("GET", "/nothing"),
        ("TRACE", "/schedule"),
        ("PUT", "/docs"),
    ]:
        if path not in (*HEALTH_CHECKS, *PUBLIC_PATHS):
            response = client.open(path, method=method, headers=headers)
            assert (method, path, response.status_code) == (method, path, 401)
            assert response.headers["WWW-Authenticate"] == 'Bearer realm="Cyclic Metrics"'
            assert response.content_type == "application/problem+json"
    assert schedule_rows(db) == schedule_row


def test_read_only_token_may_read(app_with_tokens: Flask, schedule_row: str) -> None:
    response = app_with_tokens.test_client().get(f"/schedule/{MODEL}", headers=bearer(READ))

    assert response.status_code == 200


def test_read_only_token_may_not_write(app_with_tokens: Flask, db: Connection, schedule_row: str) -> None:
    rejected = 0
    for method, path in endpoints(app_with_tokens):
        if method not in SAFE_METHODS and path not in PUBLIC_PATHS:
            response = app_with_tokens.test_client().open(
                path, method=method, headers=bearer(READ), json={"enabled": False}
            )
            assert (method, path, response.status_code) == (method, path, 403)
            assert response.json is not None
            assert response.json["type"] == "urn:cyclic-metrics:problem:read-only"
            rejected += 1
    assert rejected >= 6
    assert schedule_rows(db) == schedule_row


def test_read_write_token_may_write(app_with_tokens: Flask, schedule_row: str) -> None:
    response = app_with_tokens.test_client().patch(f"/schedule/{MODEL}", headers=bearer(WRITE), json={"enabled": False})

    assert (response.status_code, response.json["enabled"]) == (200, False)  # type: ignore[index]


@pytest.mark.parametrize("with_token", [False, True])
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://elsewhere.example"},
        {"Origin": "http://localhost:8080"},
        {"Origin": "http://localhost.elsewhere.example"},
        {"Origin": "http://["},
        {"Origin": "null"},
        {"Origin": ""},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_cross_origin_write_is_rejected(
    client: FlaskClient,
    app_with_tokens: Flask,
    db: Connection,
    schedule_row: str,
    headers: dict[str, str],
    with_token: bool,
) -> None:
    sender = app_with_tokens.test_client() if with_token else client
    sent_headers = headers | (bearer(WRITE) if with_token else {})

    for method, path in endpoints(app_with_tokens):
        if method not in SAFE_METHODS:
            response = sender.open(path, method=method, headers=sent_headers, json={"enabled": False})
            assert (method, path, response.status_code) == (method, path, 403)
            assert response.json is not None
            assert response.json["type"] == "urn:cyclic-metrics:problem:foreign-origin"
            assert "Access-Control-Allow-Origin" not in response.headers
    assert schedule_rows(db) == schedule_row


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://localhost"},  # a proxy terminates TLS
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_same_origin_write_is_accepted(client: FlaskClient, schedule_row: str, headers: dict[str, str]) -> None:
    assert client.patch(f"/schedule/{MODEL}", headers=headers, json={"enabled": False}).status_code == 200


@pytest.mark.parametrize("host", ["elsewhere.example", "localhost.elsewhere.example", "10.0.0.1:5000", "", "[", "::1"])
def test_unknown_host_name_is_rejected(client: FlaskClient, host: str) -> None:
    """DNS rebinding: a page of elsewhere.example, whose name resolves to 127.0.0.1, cannot read anything."""
    for path in ("/schedule", "/openapi.json", "/nothing", f"/results/{MODEL}"):
        response = client.get(path, headers=Headers({"Host": host}))
        assert (path, response.status_code) == (path, 421)
        assert response.json is not None
        assert "ALLOWED_HOSTS" in response.json["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5000", "127.0.0.1:5000", "[::1]", "[::1]:5000"])
def test_loopback_names_are_allowed_by_default(client: FlaskClient, host: str) -> None:
    assert client.get("/schedule", headers=Headers({"Host": host})).status_code == 200


def test_health_checks_accept_any_host_name(client: FlaskClient) -> None:
    for path in HEALTH_CHECKS:
        assert client.get(path, headers=Headers({"Host": "10.0.0.1:5000"})).status_code == 200


@pytest.mark.parametrize(
    ("allowed", "host", "status"),
    [
        ("metrics.example, localhost", "metrics.example:8443", 200),
        ("metrics.example", "Metrics.Example", 200),
        ("metrics.example", "localhost", 421),
        ("*", "anything.example", 200),
        ("", "localhost", 200),
        (",", "localhost", 200),
        ("metrics.example,", "", 421),
        (" metrics.example", "", 421),
        ("[FD00::1]", "[fd00::1]:5000", 200),
    ],
)
def test_allowed_hosts_replace_the_loopback_names(env: dict[str, str], allowed: str, host: str, status: int) -> None:
    client = create_app(Settings.from_env(env | {"ALLOWED_HOSTS": allowed})).test_client()

    assert client.get("/schedule", headers=Headers({"Host": host})).status_code == status


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("my_metrics:5000", "http://my_metrics:5000", 202),  # valid in compose, not in DNS
        ("my_metrics:5000", "null", 403),
        ("my_metrics:5000", "", 403),
        ("my_metrics:5000", "http://my_metrics", 403),
        ("my_metrics:5000", "ftp://my_metrics:5000", 403),
        ("My_Metrics", "http://my_metrics", 202),
        ("my_metrics:80", "http://my_metrics", 202),
        ("my_metrics:443", "https://my_metrics", 202),  # as proxies pass it on
        ("my_metrics:443", "http://my_metrics", 403),
        ("", "null", 403),
        ("", "http://", 403),
        ("a b", "null", 403),
    ],
)
def test_origin_is_compared_with_the_host_header(
    env: dict[str, str], schedule_row: str, db: Connection, host: str, origin: str, status: int
) -> None:
    client = create_app(Settings.from_env(env | {"ALLOWED_HOSTS": "*"})).test_client()

    response = client.post(f"/schedule/{MODEL}/run", headers=Headers({"Host": host, "Origin": origin}))

    assert response.status_code == status
    assert (schedule_rows(db) == schedule_row) == (status != 202)


@pytest.mark.parametrize("path", ["/schedule", "/nothing", "/healthz", "/docs", f"/results/{MODEL}"])
def test_every_response_has_security_headers(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in headers
