"""For everybody: narrow and wide, light and dark, with a screen reader; and with a token where one is wanted."""

import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from api.tokens import make
from core.metrics.confusion_matrix import ConfusionMatrix
from core.results.models import Result
from core.results.repository import ResultStore
from devstack import redis as local_redis
from tests.browser.conftest import Open
from tests.support.databases import rows, run, schedule, schedule_many
from tests.support.raw_http import Api, running_api
from tests.support.stack import Stack

MODEL = str(uuid.UUID(int=7))
LONG = "a name that somebody made up of " + "many-long-words-without-any-blank-" * 4
READ, READ_ENTRY = make("screen", may_write=False)
WRITE, WRITE_ENTRY = make("anna", may_write=True)
SERIOUS = {"serious", "critical"}
NARROW = 360  # pixels
# What scrolls by itself may be wider, and what only screen readers find.
BEYOND = """width => [...document.querySelectorAll("body *")].filter(it =>
    !it.closest(".scroll, pre, svg, .visually-hidden, .skip-link") && it.checkVisibility()
    && it.getBoundingClientRect().right > width + 1).map(it => it.outerHTML.slice(0, 80))"""


@pytest.fixture(autouse=True)
def _some(stack: Stack, redis_server: local_redis.Server) -> None:
    """Schedules of all kinds, one with whatever makes its row long."""
    schedule_many(stack.db, 3, "*/5 9-17 * * mon-fri")
    schedule(stack.db, MODEL, "1-59/2,7,9,11,13 0-4,8,12,18-23 1,15 jan-jun *", "America/Argentina/ComodRivadavia")
    run(stack.db, "UPDATE metrics_executions SET name = %s WHERE model_id = %s", LONG, MODEL)
    run(stack.db, "INSERT INTO metrics_executions (model_id, cron_expression, enabled) VALUES (%s, '@daily', false)",
        str(uuid.UUID(int=8)))  # fmt: skip
    labels = [f"a label with a long name {number}" for number in range(19)]
    with redis.Redis.from_url(redis_server.url) as client:
        results = ResultStore(client)
        for minute in range(30):
            due_at = datetime(2026, 11, 24, 11, minute, tzinfo=UTC)
            if minute % 10 == 7:
                failed = Result(MODEL, due_at, due_at, "error", error="y_true and y_pred differ in length: " * 4)
                results.save([failed])
                continue
            confusion = ConfusionMatrix([*labels, None], [[minute] * 20 for _ in range(20)])
            results.save([Result(MODEL, due_at, due_at, "ok", 0.5 + minute / 100, 1000, confusion=confusion)])


def opened(stack: Stack, open_page: Open, path: str, **options: Any) -> Page:
    """Open a page, or the dialog on it, as it looks when all of it is there."""
    page = open_page(stack.url + path.partition("#")[0], **options)
    if path.startswith("/models"):
        expect(page.locator("#chart .line")).to_be_visible()
    else:
        expect(page.locator("tbody tr").first).to_be_visible()
    if "#" in path:
        page.get_by_role("button", name="New schedule").click()
        cron, wrong = ("30 2 28-29 3 *", False) if path == "/#dialog" else ("5/15 * * * *", True)
        page.get_by_role("combobox", name="Time zone").fill("Europe/Warsaw")
        page.get_by_label("Cron expression").fill(cron)
        expect(page.locator("#cron_expression-error" if wrong else "#preview tbody small")).to_be_visible()
    return page


PATHS = ["/", "/#dialog", "/#wrong", f"/models/{MODEL}"]


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_nothing_serious_keeps_people_out(stack: Stack, open_page: Open, path: str, color_scheme: str) -> None:
    page = opened(stack, open_page, path, color_scheme=color_scheme)

    found = Axe().run(page).response["violations"]

    assert [(each["id"], each["nodes"][0]["html"]) for each in found if each["impact"] in SERIOUS] == []


@pytest.mark.parametrize("width", [320, NARROW, 900])
@pytest.mark.parametrize("path", PATHS)
def test_it_can_be_read_on_a_phone_and_on_a_tablet(stack: Stack, open_page: Open, path: str, width: int) -> None:
    page = opened(stack, open_page, path, width=width)

    assert page.evaluate("document.documentElement.scrollWidth") == width
    beyond = page.evaluate(BEYOND, width)
    assert beyond == []


def test_it_keeps_up_in_a_browser_of_three_years_ago(stack: Stack, open_page: Open) -> None:
    """Such as Safari 16 and Firefox 115, which have no AbortSignal.any."""
    page = open_page("about:blank")
    page.add_init_script("delete AbortSignal.any")
    page.goto(stack.url)

    run(stack.db, "UPDATE metrics_executions SET name = 'Renamed' WHERE model_id = %s", MODEL)

    expect(page.locator(f"#model-{MODEL}")).to_contain_text("Renamed")
    expect(page.locator("#stale")).to_be_hidden()
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Cron expression").fill("@daily")
    expect(page.locator("#preview")).to_contain_text("At 00:00")


def test_all_labels_of_a_large_confusion_matrix_can_be_read(stack: Stack, open_page: Open) -> None:
    page = opened(stack, open_page, f"/models/{MODEL}", width=NARROW)

    heights = page.locator(".confusion tbody tr").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert max(heights) < 80


def test_a_finger_shows_the_values_of_a_run(stack: Stack, open_page: Open) -> None:
    page = opened(stack, open_page, f"/models/{MODEL}", width=NARROW, has_touch=True)
    page.locator("#chart svg").scroll_into_view_if_needed()
    box = page.locator("#chart svg").bounding_box()
    assert box

    page.touchscreen.tap(box["x"] + box["width"] - 16, box["y"] + 50)

    expect(page.locator("#chart output")).to_have_text("2026-11-24 11:29:00 UTC: 79.00 %, 1000 samples")


def test_without_javascript_it_shows_all(stack: Stack, open_page: Open) -> None:
    page = open_page(stack.url, java_script_enabled=False)

    expect(page.locator("tbody tr")).to_have_count(5)
    expect(page.locator(f"#model-{MODEL}")).to_contain_text("79.0 %")
    page.get_by_role("searchbox").fill("made up of")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)


@pytest.fixture(scope="module")
def closed(stack: Stack, redis_server: local_redis.Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Api]:
    """An API beside that of the stack, which wants tokens."""
    url = stack.services["api"].env["DATABASE_URL"]
    env = {"DATABASE_URL": url, "REDIS_URL": redis_server.url, "API_TOKENS": f"{READ_ENTRY},{WRITE_ENTRY}"}
    with running_api(env, tmp_path_factory.mktemp("closed")) as api:
        yield api


def sign_in(page: Page, token: str) -> None:
    page.get_by_label("Token").fill(token)
    page.get_by_role("button", name="Sign in").click()


def test_it_asks_for_a_token_and_keeps_it_to_itself(closed: Api, open_page: Open) -> None:
    page = open_page(f"http://127.0.0.1:{closed.port}/models/{MODEL}")
    expect(page.locator("#runs")).to_have_count(0)
    assert [each["id"] for each in Axe().run(page).response["violations"]] == []

    sign_in(page, "cm_" + "x" * 43)
    expect(page.get_by_role("alert")).to_contain_text("Invalid token")
    sign_in(page, WRITE)

    expect(page.locator("#chart .line")).to_be_visible()  # where one wanted to go, with all it fetches
    assert page.url.endswith(f"/models/{MODEL}")
    [cookie] = page.context.cookies()
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["expires"]) == (True, "Lax", -1)
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("button", name="Resume")).to_be_visible()
    page.get_by_role("link", name="API").click()
    expect(page.get_by_text("/schedule/{model_id}/run")).to_be_visible()

    page.goto(f"http://127.0.0.1:{closed.port}/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_label("Token")).to_be_visible()
    assert page.context.cookies() == []
    assert WRITE not in closed.service.output
    assert "client=anna" in closed.service.output


def test_who_may_only_read_is_offered_nothing_else(closed: Api, open_page: Open) -> None:
    page = open_page(f"http://127.0.0.1:{closed.port}/")
    sign_in(page, READ)

    expect(page.locator(f"#model-{MODEL}")).to_be_visible()
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    expect(page.get_by_role("button", name="New schedule")).to_have_count(0)
    expect(page.get_by_role("button", name="Delete")).to_have_count(0)


def signed_in(api: Api, open_page: Open, path: str) -> Page:
    page = open_page(f"http://127.0.0.1:{api.port}/sign-in")
    sign_in(page, WRITE)
    expect(page.get_by_role("button", name="Sign out")).to_be_visible()
    page.goto(f"http://127.0.0.1:{api.port}{path}")  # waits until its scripts have run
    return page


@pytest.mark.parametrize("path", ["/", f"/models/{MODEL}"])
def test_sign_out_keeps_what_is_typed_in_open_dialog(closed: Api, open_page: Open, path: str, stack: Stack) -> None:
    page = signed_in(closed, open_page, path)
    page.locator(f'[data-model="{MODEL}"] [data-action="edit"]').click()
    name, cron = page.get_by_label("Name (optional)"), page.get_by_label("Cron expression")
    name.fill("Typed before")
    tab = page.context.new_page()
    tab.goto(f"http://127.0.0.1:{closed.port}/")
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
    saved = "SELECT name, cron_expression FROM metrics_executions WHERE model_id = %s"
    assert rows(stack.db, saved, MODEL) == [("Typed before", "@hourly")]


def test_closing_dialog_after_sign_out_asks_for_token(closed: Api, open_page: Open) -> None:
    page = signed_in(closed, open_page, "/")
    page.get_by_role("button", name="New schedule").click()
    page.context.clear_cookies()
    expect(page.get_by_role("dialog").get_by_role("status")).to_contain_text("Signed out.")

    page.get_by_role("button", name="Cancel").click()

    expect(page.get_by_label("Token")).to_be_visible()


def test_read_only_token_in_another_tab_keeps_open_dialog(closed: Api, open_page: Open) -> None:
    page = signed_in(closed, open_page, "/")
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Name (optional)").fill("Typed")
    page.context.clear_cookies()
    tab = page.context.new_page()
    tab.goto(f"http://127.0.0.1:{closed.port}/")
    sign_in(tab, READ)

    expect(page.get_by_role("button", name="Pause", include_hidden=True)).to_have_count(0)
    expect(page.get_by_label("Name (optional)")).to_have_value("Typed")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#dialog-error")).to_contain_text("may only read")
