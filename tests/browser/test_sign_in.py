"""Sign-in and sign-out in a browser, with tokens of both kinds."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from api.tokens import make
from core.results.models import Result
from core.results.repository import ResultStore
from devstack import redis as local_redis
from tests.support.browser import OpenPage, row
from tests.support.databases import fetch_all, schedule
from tests.support.raw_http import Api, running_api
from tests.support.service_stack import Stack

MODEL = str(uuid.UUID(int=7))
READ, READ_ENTRY = make("screen", may_write=False)
WRITE, WRITE_ENTRY = make("anna", may_write=True)


@pytest.fixture(autouse=True)
def _model(stack: Stack, redis_server: local_redis.Server) -> None:
    """A schedule with results."""
    schedule(stack.db, MODEL)
    with redis.Redis.from_url(redis_server.url) as client:
        for minute in range(2):
            due_at = datetime(2026, 11, 24, 11, minute, tzinfo=UTC)
            # The accuracies differ: a horizontal line has no height, and counts as hidden.
            ResultStore(client).save([Result(MODEL, due_at, due_at, "ok", 0.5 + minute / 10, 1000)])


@pytest.fixture(scope="module")
def protected_api(
    stack: Stack, redis_server: local_redis.Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Api]:
    """A second API of the stack, which requires tokens."""
    url = stack.services["api"].env["DATABASE_URL"]
    env = {"DATABASE_URL": url, "REDIS_URL": redis_server.url, "API_TOKENS": f"{READ_ENTRY},{WRITE_ENTRY}"}
    with running_api(env, tmp_path_factory.mktemp("protected_api")) as api:
        yield api


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_sign_in_keeps_token_in_http_only_cookie(protected_api: Api, open_page: OpenPage) -> None:
    page = open_page(f"http://127.0.0.1:{protected_api.port}/models/{MODEL}")
    expect(page.locator("#runs")).to_have_count(0)
    assert [item["id"] for item in Axe().run(page).response["violations"]] == []

    sign_in(page, "cm_" + "x" * 43)
    expect(page.get_by_role("alert")).to_contain_text("Invalid token")
    sign_in(page, WRITE)

    expect(page.locator("#chart .line")).to_be_visible()  # the requested page, with all that it loads
    assert page.url.endswith(f"/models/{MODEL}")
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Lax", -1)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("link", name="API").click()
    expect(page.get_by_text("/schedule/{model_id}/run")).to_be_visible()

    page.goto(f"http://127.0.0.1:{protected_api.port}/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.context.cookies() == []
    assert WRITE not in protected_api.service.output
    assert "client=anna" in protected_api.service.output


def test_read_only_token_shows_no_actions(protected_api: Api, open_page: OpenPage) -> None:
    page = open_page(f"http://127.0.0.1:{protected_api.port}/")
    sign_in(page, READ)

    expect(row(page, MODEL)).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("button", name="New schedule")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)


def open_signed_in(api: Api, open_page: OpenPage, path: str) -> Page:
    page = open_page(f"http://127.0.0.1:{api.port}/sign-in")
    sign_in(page, WRITE)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(f"http://127.0.0.1:{api.port}{path}")  # waits for its scripts
    return page


@pytest.mark.parametrize("path", ["/", f"/models/{MODEL}"])
def test_sign_out_keeps_what_is_typed_in_open_dialog(
    protected_api: Api, open_page: OpenPage, path: str, stack: Stack
) -> None:
    page = open_signed_in(protected_api, open_page, path)
    page.locator(f'[data-model="{MODEL}"] [data-action="edit"]').click()
    name, cron = page.get_by_label("Name (optional)"), page.get_by_label("Cron expression")
    name.fill("Typed before")
    tab = page.context.new_page()
    tab.goto(f"http://127.0.0.1:{protected_api.port}/")
    tab.get_by_role("button", name="Sign out").click()
    expect(tab.get_by_label("Token")).to_be_visible()

    banner = page.get_by_role("dialog").get_by_role("status")
    expect(banner).to_contain_text("Signed out. Sign in in another tab, then save.")
    cron.fill("@hourly")
    expect(page.locator("#preview")).to_contain_text("Signed out.")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#dialog-error")).to_have_text("Signed out. Sign in in another tab, then save.")
    expect(name).to_have_value("Typed before")

    sign_in(tab, WRITE)
    expect(banner).to_be_hidden()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.locator("main")).to_contain_text("Typed before")
    query = "SELECT name, cron_expression FROM metrics_executions WHERE model_id = %s"
    assert fetch_all(stack.db, query, MODEL) == [("Typed before", "@hourly")]


def test_closing_dialog_after_sign_out_asks_for_token(protected_api: Api, open_page: OpenPage) -> None:
    page = open_signed_in(protected_api, open_page, "/")
    page.get_by_role("button", name="New schedule").click()
    page.context.clear_cookies()
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("Signed out.")

    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_label("Token")).to_be_visible()


def test_read_only_token_in_another_tab_keeps_open_dialog(protected_api: Api, open_page: OpenPage) -> None:
    page = open_signed_in(protected_api, open_page, "/")
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Name (optional)").fill("Typed")
    page.context.clear_cookies()
    tab = page.context.new_page()
    tab.goto(f"http://127.0.0.1:{protected_api.port}/")
    sign_in(tab, READ)

    expect(page.get_by_role("button", name="Pause", include_hidden=True)).to_have_count(0)
    expect(page.get_by_label("Name (optional)")).to_have_value("Typed")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#dialog-error")).to_contain_text("may only read")
