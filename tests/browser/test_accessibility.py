"""Accessibility: screen readers, small screens, touch, older browsers, no JavaScript."""

import uuid
from datetime import UTC, datetime
from typing import Any

import pytest
import redis
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from core.metrics.confusion_matrix import ConfusionMatrix
from core.results.models import Result
from core.results.repository import ResultStore
from devstack import redis as local_redis
from tests.support.browser import OpenPage, row
from tests.support.databases import execute, schedule, schedule_many
from tests.support.service_stack import Stack

MODEL = str(uuid.UUID(int=7))
LONG_NAME = "a name that consists of " + "many-long-words-without-any-blank-" * 4
SERIOUS = {"serious", "critical"}
NARROW = 360  # pixels
# Elements beyond the right edge, unless they scroll or are for screen readers only.
OVERFLOWING = """width => [...document.querySelectorAll("body *")].filter(element =>
    !element.closest(".scroll, pre, svg, .visually-hidden, .skip-link") && element.checkVisibility()
    && element.getBoundingClientRect().right > width + 1).map(element => element.outerHTML.slice(0, 80))"""


@pytest.fixture(autouse=True)
def _schedules(stack: Stack, redis_server: local_redis.Server) -> None:
    """Schedules of all kinds, one with the longest texts."""
    schedule_many(stack.db, 3, "*/5 9-17 * * mon-fri")
    schedule(stack.db, MODEL, "1-59/2,7,9,11,13 0-4,8,12,18-23 1,15 jan-jun *", "America/Argentina/ComodRivadavia")
    execute(stack.db, "UPDATE metrics_executions SET name = %s WHERE model_id = %s", LONG_NAME, MODEL)
    insert = "INSERT INTO metrics_executions (model_id, cron_expression, enabled) VALUES (%s, '@daily', false)"
    execute(stack.db, insert, str(uuid.UUID(int=8)))
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


def open_complete_page(stack: Stack, open_page: OpenPage, path: str, **options: Any) -> Page:
    """Open a page, or the dialog on it, and wait until it is complete."""
    page = open_page(stack.url + path.partition("#")[0], **options)
    if path.startswith("/models"):
        expect(page.locator("#chart .line")).to_be_visible()
    else:
        expect(page.locator("tbody tr").first).to_be_visible()
    if "#" in path:
        page.get_by_role("button", name="New schedule").click()
        cron, is_invalid = ("30 2 28-29 3 *", False) if path == "/#dialog" else ("5/15 * * * *", True)
        page.get_by_role("combobox", name="Time zone").fill("Europe/Warsaw")
        page.get_by_label("Cron expression").fill(cron)
        expect(page.locator("#cron_expression-error" if is_invalid else "#preview tbody small")).to_be_visible()
    return page


PATHS = ["/", "/#dialog", "/#invalid", f"/models/{MODEL}"]


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
@pytest.mark.parametrize("path", PATHS)
def test_axe_finds_no_serious_violation(stack: Stack, open_page: OpenPage, path: str, color_scheme: str) -> None:
    page = open_complete_page(stack, open_page, path, color_scheme=color_scheme)

    violations = Axe().run(page).response["violations"]

    assert [(item["id"], item["nodes"][0]["html"]) for item in violations if item["impact"] in SERIOUS] == []


@pytest.mark.parametrize("width", [320, NARROW, 900])
@pytest.mark.parametrize("path", PATHS)
def test_page_fits_phone_and_tablet(stack: Stack, open_page: OpenPage, path: str, width: int) -> None:
    page = open_complete_page(stack, open_page, path, width=width)

    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.evaluate(OVERFLOWING, width) == []


def test_live_updates_work_without_abort_signal_any(stack: Stack, open_page: OpenPage) -> None:
    """Safari 16 and Firefox 115 do not have it."""
    page = open_page("about:blank")
    page.add_init_script("delete AbortSignal.any")
    page.goto(stack.url)

    execute(stack.db, "UPDATE metrics_executions SET name = 'Renamed' WHERE model_id = %s", MODEL)

    expect(row(page, MODEL)).to_contain_text("Renamed")
    expect(page.locator("#stale")).to_be_hidden()
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Cron expression").fill("@daily")
    expect(page.locator("#preview")).to_contain_text("At 00:00")


def test_labels_of_large_confusion_matrix_are_readable(stack: Stack, open_page: OpenPage) -> None:
    page = open_complete_page(stack, open_page, f"/models/{MODEL}", width=NARROW)

    heights = page.locator(".confusion tbody tr").evaluate_all("rows => rows.map(row => row.offsetHeight)")
    assert max(heights) < 80


def test_touch_shows_values_of_run(stack: Stack, open_page: OpenPage) -> None:
    page = open_complete_page(stack, open_page, f"/models/{MODEL}", width=NARROW, has_touch=True)
    page.locator("#chart svg").scroll_into_view_if_needed()
    box = page.locator("#chart svg").bounding_box()
    assert box

    page.touchscreen.tap(box["x"] + box["width"] - 16, box["y"] + 50)

    expect(page.locator("#chart output")).to_have_text("2026-11-24 11:29:00 UTC: 79.00 %, 1000 samples")


def test_overview_works_without_javascript(stack: Stack, open_page: OpenPage) -> None:
    page = open_page(stack.url, java_script_enabled=False)

    expect(page.locator("tbody tr")).to_have_count(5)
    expect(row(page, MODEL)).to_contain_text("79.0 %")
    page.get_by_role("searchbox").fill("consists of")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
