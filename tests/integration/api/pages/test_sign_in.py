"""Signing in on the page: with a token, which no address, no log and no other page gets to see."""

import pytest
from flask import Flask
from flask.testing import FlaskClient

from api.main import create_app
from api.settings import Settings
from api.tokens import make
from tests.support.databases import MODEL, Connection, Databases, one, schedule

READ, READ_ENTRY = make("screen", may_write=False)
WRITE, WRITE_ENTRY = make("anna", may_write=True)
HTML = {"Accept": "text/html,application/xhtml+xml"}
FORM = "application/x-www-form-urlencoded"


@pytest.fixture
def client(databases: Databases, database_url: str, redis_url: str) -> FlaskClient:
    env = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}
    app = create_app(Settings.from_env(env | {"API_TOKENS": f"{READ_ENTRY},{WRITE_ENTRY}"}))
    return app.test_client()


def sign_in(client: FlaskClient, token: str, following: str = "/", **headers: str) -> tuple[int, str]:
    answer = client.post("/sign-in", data={"token": token, "next": following}, headers=headers)
    return answer.status_code, answer.headers.get("Location", "")


@pytest.mark.parametrize("path", ["/", f"/models/{MODEL}", "/docs"])
def test_a_page_asks_for_a_token_and_shows_nothing(client: FlaskClient, db: Connection, path: str) -> None:
    schedule(db)

    answer = client.get(f"{path}?status=late", headers=HTML)

    assert answer.status_code == 401
    assert f'name="next" value="{path}?status=late"' in answer.text
    assert MODEL not in answer.text.replace(f'value="{path}', "")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


def test_a_program_gets_a_problem_where_people_get_a_form(client: FlaskClient) -> None:
    assert client.get("/").content_type == "application/problem+json"
    assert client.get("/schedule", headers=HTML).content_type == "application/problem+json"


def test_a_token_opens_everything_to_this_browser(client: FlaskClient, db: Connection) -> None:
    schedule(db)

    assert sign_in(client, f" {WRITE}\n", f"/models/{MODEL}?before=") == (303, f"/models/{MODEL}?before=")

    assert MODEL in client.get("/", headers=HTML).text
    assert client.get("/openapi.json").status_code == 200
    assert client.patch(f"/schedule/{MODEL}", json={"enabled": False}).status_code == 200


def test_pages_of_others_cannot_use_its_cookie(client: FlaskClient, db: Connection) -> None:
    schedule(db)
    sign_in(client, WRITE)

    for headers in ({"Origin": "https://elsewhere.example"}, {"Sec-Fetch-Site": "cross-site"}):
        assert client.delete(f"/schedule/{MODEL}", headers=headers).status_code == 403
        assert client.post("/sign-in", data={"token": READ}, headers=headers).status_code == 403
    assert one(db, "SELECT count(*) FROM metrics_executions") == 1


def test_a_token_that_may_only_read_only_reads(client: FlaskClient, db: Connection) -> None:
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
def test_a_wrong_token_is_told_so(client: FlaskClient, token: str) -> None:
    answer = client.post("/sign-in", data={"token": token, "next": "/docs"})

    assert answer.status_code == 401
    assert "none of the tokens" in answer.text
    assert "Set-Cookie" not in answer.headers
    assert 'value="/docs"' in answer.text


def test_the_address_of_a_wrong_token_asks_for_one(client: FlaskClient) -> None:
    answer = client.get("/sign-in", headers=HTML)

    assert (answer.status_code, answer.headers["Location"]) == (303, "/")


@pytest.mark.parametrize(
    "following", ["https://elsewhere.example", "//elsewhere.example", "/\\elsewhere.example", "docs", "", "/\r\nX: y"]
)
def test_it_leads_nowhere_else(client: FlaskClient, following: str) -> None:
    assert sign_in(client, WRITE, following) == (303, "/")


def test_scripts_cannot_read_the_cookie_and_over_tls_it_stays_there(client: FlaskClient) -> None:
    plain = client.post("/sign-in", data={"token": WRITE}, headers={"Origin": "http://localhost"})
    over_tls = client.post("/sign-in", data={"token": WRITE}, headers={"Origin": "https://localhost"})

    assert plain.headers["Set-Cookie"] == f"cyclic_metrics_token={WRITE}; HttpOnly; Path=/; SameSite=Lax"
    assert over_tls.headers["Set-Cookie"] == f"cyclic_metrics_token={WRITE}; Secure; HttpOnly; Path=/; SameSite=Lax"


def test_signing_out_forgets_it(client: FlaskClient) -> None:
    sign_in(client, WRITE)

    assert client.post("/sign-out").status_code == 303

    assert client.get("/", headers=HTML).status_code == 401


def test_a_header_counts_more_than_the_cookie(client: FlaskClient) -> None:
    sign_in(client, WRITE)

    assert client.get("/schedule", headers={"Authorization": "Bearer cm_wrong"}).status_code == 401
    assert client.get("/schedule", headers={"Authorization": "Basic eDp5"}).status_code == 401


def test_where_no_token_is_wanted_none_is_asked_for(databases: Databases, database_url: str, redis_url: str) -> None:
    url = databases.url_as("metrics_api", database_url)
    app: Flask = create_app(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": redis_url}))

    page = app.test_client().get("/", headers=HTML)

    assert page.status_code == 200
    assert "Sign out" not in page.text
