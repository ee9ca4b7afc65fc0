"""Who is let in, and from where; over every call that there is."""

from collections.abc import Iterator

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.datastructures import Headers

from api.main import create_app
from api.settings import Settings
from api.tokens import make
from tests.support.databases import MODEL, Connection, Databases, rows, run

READ, READ_ENTRY = make("grafana", may_write=False)
WRITE, WRITE_ENTRY = make("ci", may_write=True)
HEALTH_CHECKS = ("/healthz", "/readyz")
SIGNING_IN = ("/sign-in", "/sign-out", "/static/x")  # what it takes, see test_sign_in.py
SAFE = {"GET", "HEAD", "OPTIONS"}


def calls(app: Flask) -> Iterator[tuple[str, str]]:
    """Yield each method with each address, so that nobody forgets a new one."""
    for rule in app.url_map.iter_rules():
        for method in sorted(rule.methods or ()):
            yield method, rule.rule.replace("<model_id>", MODEL).replace("<name>", "x").replace("<path:filename>", "x")


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


@pytest.fixture
def env(databases: Databases, database_url: str, redis_url: str) -> dict[str, str]:
    return {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}


@pytest.fixture
def closed(env: dict[str, str]) -> Flask:
    """The API with tokens."""
    return create_app(Settings.from_env(env | {"API_TOKENS": f"{READ_ENTRY},{WRITE_ENTRY}"}))


@pytest.fixture
def one_schedule(db: Connection) -> str:
    run(db, "INSERT INTO metrics_executions (model_id, cron_expression) VALUES (%s, '@daily')", MODEL)
    return state(db)


def state(db: Connection) -> str:
    return str(rows(db, "SELECT * FROM metrics_executions ORDER BY id"))


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
def test_nothing_but_the_health_checks_without_a_token(
    closed: Flask, db: Connection, one_schedule: str, headers: dict[str, str]
) -> None:
    client = closed.test_client()
    assert {path: client.get(path, headers=headers).status_code for path in HEALTH_CHECKS} == dict.fromkeys(
        HEALTH_CHECKS, 200
    )

    for method, path in [*calls(closed), ("GET", "/"), ("GET", "/nothing"), ("TRACE", "/schedule"), ("PUT", "/docs")]:
        if path not in (*HEALTH_CHECKS, *SIGNING_IN):
            answer = client.open(path, method=method, headers=headers)
            assert (method, path, answer.status_code) == (method, path, 401)
            assert answer.headers["WWW-Authenticate"] == 'Bearer realm="Cyclic Metrics"'
            assert answer.content_type == "application/problem+json"
    assert state(db) == one_schedule


def test_a_read_only_token_reads(closed: Flask, one_schedule: str) -> None:
    answer = closed.test_client().get(f"/schedule/{MODEL}", headers=bearer(READ))

    assert answer.status_code == 200


def test_a_read_only_token_changes_nothing(closed: Flask, db: Connection, one_schedule: str) -> None:
    refused = 0
    for method, path in calls(closed):
        if method not in SAFE and path not in SIGNING_IN:
            answer = closed.test_client().open(path, method=method, headers=bearer(READ), json={"enabled": False})
            assert (method, path, answer.status_code) == (method, path, 403)
            assert answer.json is not None
            assert answer.json["type"] == "urn:cyclic-metrics:problem:read-only"
            refused += 1
    assert refused >= 6
    assert state(db) == one_schedule


def test_a_token_that_may_write_writes(closed: Flask, one_schedule: str) -> None:
    answer = closed.test_client().patch(f"/schedule/{MODEL}", headers=bearer(WRITE), json={"enabled": False})

    assert (answer.status_code, answer.json["enabled"]) == (200, False)  # type: ignore[index]


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
def test_a_page_of_another_origin_changes_nothing(
    client: FlaskClient, closed: Flask, db: Connection, one_schedule: str, headers: dict[str, str], with_token: bool
) -> None:
    asked = closed.test_client() if with_token else client
    sent = headers | (bearer(WRITE) if with_token else {})

    for method, path in calls(closed):
        if method not in SAFE:
            answer = asked.open(path, method=method, headers=sent, json={"enabled": False})
            assert (method, path, answer.status_code) == (method, path, 403)
            assert answer.json is not None
            assert answer.json["type"] == "urn:cyclic-metrics:problem:foreign-origin"
            assert "Access-Control-Allow-Origin" not in answer.headers
    assert state(db) == one_schedule


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://localhost"},
        {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
        {"Origin": "https://localhost"},  # a proxy in between ends TLS
        {"Sec-Fetch-Site": "none"},
    ],
)
def test_a_page_of_ours_may_change_things(client: FlaskClient, one_schedule: str, headers: dict[str, str]) -> None:
    assert client.patch(f"/schedule/{MODEL}", headers=headers, json={"enabled": False}).status_code == 200


@pytest.mark.parametrize("host", ["elsewhere.example", "localhost.elsewhere.example", "10.0.0.1:5000", "", "[", "::1"])
def test_another_name_of_the_host_is_refused(client: FlaskClient, host: str) -> None:
    """A page of elsewhere.example whose name leads to 127.0.0.1 for a moment reads nothing."""
    for path in ("/schedule", "/openapi.json", "/nothing", f"/results/{MODEL}"):
        answer = client.get(path, headers=Headers({"Host": host}))
        assert (path, answer.status_code) == (path, 421)
        assert answer.json is not None
        assert "ALLOWED_HOSTS" in answer.json["detail"]


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:5000", "127.0.0.1:5000", "[::1]", "[::1]:5000"])
def test_the_loopback_names_are_ours(client: FlaskClient, host: str) -> None:
    assert client.get("/schedule", headers=Headers({"Host": host})).status_code == 200


def test_the_health_checks_go_by_any_name(client: FlaskClient) -> None:
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
def test_other_names_can_be_allowed(env: dict[str, str], allowed: str, host: str, status: int) -> None:
    client = create_app(Settings.from_env(env | {"ALLOWED_HOSTS": allowed})).test_client()

    assert client.get("/schedule", headers=Headers({"Host": host})).status_code == status


@pytest.mark.parametrize(
    "name", ["metrics.example:8443", "https://metrics.example", "::1", "*.metrics.example", "metrics.example/", "żółw"]
)
def test_a_name_that_no_request_can_have_is_refused(env: dict[str, str], name: str) -> None:
    with pytest.raises(ValueError, match=r'ALLOWED_HOSTS has ".+"; write names without scheme and port'):
        Settings.from_env(env | {"ALLOWED_HOSTS": f"localhost, {name}"})


@pytest.mark.parametrize(
    ("host", "origin", "status"),
    [
        ("my_metrics:5000", "http://my_metrics:5000", 202),  # compose's names may have what DNS's may not
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
def test_origins_are_told_apart_by_any_name(
    env: dict[str, str], one_schedule: str, db: Connection, host: str, origin: str, status: int
) -> None:
    client = create_app(Settings.from_env(env | {"ALLOWED_HOSTS": "*"})).test_client()

    answer = client.post(f"/schedule/{MODEL}/run", headers=Headers({"Host": host, "Origin": origin}))

    assert answer.status_code == status
    assert (state(db) == one_schedule) == (status != 202)


@pytest.mark.parametrize("path", ["/schedule", "/nothing", "/healthz", "/docs", f"/results/{MODEL}"])
def test_every_answer_tells_browsers_to_be_strict(client: FlaskClient, path: str) -> None:
    headers = client.get(path).headers

    assert "default-src 'none'; script-src 'self'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "same-origin"
    assert headers["Cache-Control"] == "no-store"
    assert "Set-Cookie" not in headers


@pytest.mark.parametrize(
    ("host", "more", "allowed"),
    [
        ("127.0.0.1", {}, True),
        ("127.8.9.1", {}, True),
        ("::1", {}, True),
        ("localhost", {}, True),
        ("0.0.0.0", {}, False),  # noqa: S104
        ("::", {}, False),
        ("192.168.0.7", {}, False),
        ("metrics.example", {}, False),
        ("", {}, False),
        ("0.0.0.0", {"ALLOW_ANONYMOUS": "true"}, True),  # noqa: S104
        ("0.0.0.0", {"ALLOW_ANONYMOUS": "false"}, False),  # noqa: S104
        ("0.0.0.0", {"API_TOKENS": READ_ENTRY}, True),  # noqa: S104
    ],
)
def test_without_tokens_it_serves_this_machine_alone(host: str, more: dict[str, str], allowed: bool) -> None:
    env = {"DATABASE_URL": "postgresql://unused", "REDIS_URL": "redis://unused", "HOST": host} | more

    if allowed:
        assert Settings.from_env(env).host == host
    else:
        with pytest.raises(ValueError, match=r"set API_TOKENS .*, or HOST=127\.0\.0\.1, or ALLOW_ANONYMOUS=true"):
            Settings.from_env(env)
