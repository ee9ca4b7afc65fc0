"""Sign-in on the pages: the token is in no URL, no log, and not available to other sites."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.main import create_app
from api.settings import Settings
from api.tokens import make
from tests.support.databases import MODEL, Connection, Databases, fetch_value, schedule

READ, READ_ENTRY = make("screen", may_write=False)
WRITE, WRITE_ENTRY = make("anna", may_write=True)
HTML = {"Accept": "text/html,application/xhtml+xml"}


@pytest.fixture
def client(databases: Databases, database_url: str, redis_url: str) -> FlaskClient:
    env = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}
    app = create_app(Settings.from_env(env | {"API_TOKENS": f"{READ_ENTRY},{WRITE_ENTRY}"}))
    return app.test_client()


def sign_in(client: FlaskClient, token: str, next_path: str = "/", **headers: str) -> tuple[int, str]:
    response = client.post("/sign-in", data={"token": token, "next": next_path}, headers=headers)
    return response.status_code, response.headers.get("Location", "")


@pytest.mark.parametrize("path", ["/", f"/models/{MODEL}", "/docs"])
def test_page_without_token_is_sign_in_form(client: FlaskClient, db: Connection, path: str) -> None:
    schedule(db)

    response = client.get(f"{path}?status=late", headers=HTML)

    assert response.status_code == 401
    assert f'name="next" value="{path}?status=late"' in response.text
    assert MODEL not in response.text.replace(f'value="{path}', "")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")


def test_only_browsers_get_the_form(client: FlaskClient) -> None:
    assert client.get("/").content_type == "application/problem+json"
    assert client.get("/schedule", headers=HTML).content_type == "application/problem+json"


def test_signed_in_browser_may_use_pages_and_api(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    assert sign_in(client, f" {WRITE}\n", f"/models/{MODEL}?before=") == (303, f"/models/{MODEL}?before=")

    assert MODEL in client.get("/", headers=HTML).text
    assert client.get("/openapi.json").status_code == 200
    assert client.patch(f"/schedule/{MODEL}", json={"enabled": False}).status_code == 200


def test_other_sites_cannot_use_the_cookie(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    sign_in(client, WRITE)

    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.delete(f"/schedule/{MODEL}", headers=headers).status_code == 403
        assert client.post("/sign-in", data={"token": READ}, headers=headers).status_code == 403
    assert fetch_value(db, "SELECT count(*) FROM metrics_executions") == 1


def test_read_only_token_shows_no_actions(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    sign_in(client, READ)

    assert "data-action" not in client.get("/", headers=HTML).text
    assert client.delete(f"/schedule/{MODEL}").status_code == 403
    assert client.post("/sign-out").status_code == 303


@pytest.mark.parametrize(
    "token",
    ["", "cm_", WRITE[:-1], WRITE + "x", "ü" * 20, "\0"],
    ids=["none", "prefix", "short", "long", "letters", "NUL"],
)
def test_invalid_token_shows_form_with_error(client: FlaskClient, token: str) -> None:
    response = client.post("/sign-in", data={"token": token, "next": "/docs"})

    assert response.status_code == 401
    assert "Invalid token. Lost tokens cannot be recovered; create a new one." in response.text
    assert "Set-Cookie" not in response.headers
    assert 'value="/docs"' in response.text


def test_get_sign_in_redirects_to_overview(client: FlaskClient) -> None:
    response = client.get("/sign-in", headers=HTML)

    assert (response.status_code, response.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "next_path", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "docs", "", "/\r\nX: y"]
)
def test_sign_in_redirects_to_local_paths_only(client: FlaskClient, next_path: str) -> None:
    assert sign_in(client, WRITE, next_path) == (303, "/")


def test_cookie_is_http_only_and_secure_over_tls(client: FlaskClient) -> None:
    plain = client.post("/sign-in", data={"token": WRITE}, headers={"Origin": "http://localhost"})
    over_tls = client.post("/sign-in", data={"token": WRITE}, headers={"Origin": "https://localhost"})

    assert plain.headers["Set-Cookie"] == f"cyclic_metrics_token={WRITE}; HttpOnly; Path=/; SameSite=Lax"
    assert over_tls.headers["Set-Cookie"] == f"cyclic_metrics_token={WRITE}; Secure; HttpOnly; Path=/; SameSite=Lax"


def test_sign_out_deletes_the_cookie(client: FlaskClient) -> None:
    sign_in(client, WRITE)

    assert client.post("/sign-out").status_code == 303

    assert client.get("/", headers=HTML).status_code == 401


def test_authorization_header_overrides_the_cookie(client: FlaskClient) -> None:
    sign_in(client, WRITE)

    assert client.get("/schedule", headers={"Authorization": "Bearer cm_wrong"}).status_code == 401
    assert client.get("/schedule", headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_pages_are_open_without_api_tokens(databases: Databases, database_url: str, redis_url: str) -> None:
    url = databases.url_as("metrics_api", database_url)
    app: Flask = create_app(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": redis_url}))

    page = app.test_client().get("/", headers=HTML)

    assert page.status_code == 200
    assert "Sign out" not in page.text
