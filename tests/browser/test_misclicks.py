"""Clicks on buttons that have replaced another one at the same position."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
import redis
from playwright.sync_api import FloatRect, Locator, Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from core.results.models import Result
from core.results.repository import ResultStore
from devstack import redis as local_redis
from tests.support.browser import OpenPage, refresh_page_cache, row
from tests.support.databases import execute, fetch_all, model_ids, schedule, wait_for
from tests.support.service_stack import Stack

FIRST, SECOND, THIRD = model_ids(3)
REFRESH_TIMEOUT = 1000  # milliseconds; after it, the page is refreshed again
AFTER_REACTION_TIME = 700  # milliseconds

# Notices of the state of the system, and of a refresh that the clock change aborted; they would move the table.
HIDE_NOTICES = """() => {
    const style = new CSSStyleSheet();
    style.replaceSync("#stale, #health, #summary { display: none }");
    document.adoptedStyleSheets = [style];
}"""
# Conditions; their arguments begin with the model.
EXISTS = "([id]) => document.getElementById(`model-${id}`)"
IS_REMOVED = "([id]) => !document.getElementById(`model-${id}`)"
HAS_MOVED = "([id, y]) => document.querySelector(`#model-${id} [data-action=delete]`).getBoundingClientRect().y !== y"


@pytest.fixture
def page(stack: Stack, open_page: OpenPage) -> Page:
    """Return the overview of three schedules, in a browser whose clock is stopped."""
    for model_id in (FIRST, SECOND, THIRD):
        schedule(stack.db, model_id, "@daily")
    page = open_with_clock(open_page, stack.url)
    stop_clock(page)
    return page


def open_with_clock(open_page: OpenPage, url: str) -> Page:
    page = open_page("about:blank")
    page.clock.install()
    refresh_page_cache(url)
    page.goto(url)
    page.evaluate(HIDE_NOTICES)
    expect(page.get_by_role("button", name="Delete").first).to_be_visible()
    return page


def stop_clock(page: Page) -> None:
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))


def delete_button(page: Page, model_id: str) -> Locator:
    return row(page, model_id).get_by_role("button", name="Delete")


def box_of(button: Locator) -> FloatRect:
    box = button.bounding_box()
    assert box
    return box


def contains(outer: FloatRect, inner: FloatRect) -> bool:
    is_within = outer["x"] <= inner["x"] and inner["x"] + inner["width"] <= outer["x"] + outer["width"]
    return is_within and outer["y"] <= inner["y"] + inner["height"] / 2 <= outer["y"] + outer["height"]


def click(page: Page, box: FloatRect) -> None:
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


def refresh_until(page: Page, condition: str, *values: object) -> None:
    """Refresh the page until a condition holds; its clock stays stopped."""

    def holds() -> bool:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        try:
            page.wait_for_function(condition, arg=values, polling=20, timeout=REFRESH_TIMEOUT)
        except PlaywrightTimeout:
            return False
        return True

    wait_for(holds)


def scheduled_models(stack: Stack) -> Sequence[str]:
    return [model_id for (model_id,) in fetch_all(stack.db, "SELECT model_id::text FROM metrics_executions ORDER BY 1")]


def assert_scheduled(stack: Stack, page: Page, expected: Sequence[str]) -> None:
    """Check the schedules after a further one is shown: an action would be complete by then."""
    added = str(uuid.UUID(int=9))
    schedule(stack.db, added, "@daily")
    refresh_until(page, EXISTS, added)
    assert scheduled_models(stack) == [*expected, added]


@pytest.mark.parametrize("gap", [0, 120, 250, 400])
def test_double_click_on_delete_deletes_one_model(stack: Stack, page: Page, gap: int) -> None:
    box = box_of(delete_button(page, FIRST))

    click(page, box)
    expect(row(page, FIRST)).to_have_count(0)
    assert box_of(delete_button(page, SECOND)) == box
    page.clock.run_for(gap)
    click(page, box)

    assert_scheduled(stack, page, [SECOND, THIRD])


def test_later_click_at_same_place_deletes_next_model(stack: Stack, page: Page) -> None:
    box = box_of(delete_button(page, FIRST))
    click(page, box)
    expect(row(page, FIRST)).to_have_count(0)
    page.clock.run_for(AFTER_REACTION_TIME)

    click(page, box)

    expect(row(page, SECOND)).to_have_count(0)
    assert scheduled_models(stack) == [THIRD]


@pytest.mark.parametrize(
    "change",
    [
        f"DELETE FROM metrics_executions WHERE model_id = '{FIRST}'",
        f"INSERT INTO metrics_executions (model_id, cron_expression) VALUES ('{uuid.UUID(int=0)}', '@daily')",
    ],
)
def test_click_on_row_that_live_update_moved_does_nothing(stack: Stack, page: Page, change: str) -> None:
    aimed_at = box_of(delete_button(page, SECOND))
    execute(stack.db, change)
    expected = scheduled_models(stack)

    refresh_until(page, HAS_MOVED, SECOND, aimed_at["y"])
    click(page, aimed_at)

    assert_scheduled(stack, page, expected)


def test_click_on_row_that_stayed_works_beside_live_update(stack: Stack, page: Page) -> None:
    execute(stack.db, "DELETE FROM metrics_executions WHERE model_id = %s", THIRD)
    refresh_until(page, IS_REMOVED, THIRD)

    click(page, box_of(delete_button(page, FIRST)))

    expect(row(page, FIRST)).to_have_count(0)
    assert scheduled_models(stack) == [SECOND]


def test_keyboard_deletes_moved_row_at_once(stack: Stack, page: Page) -> None:
    delete_button(page, SECOND).focus()
    execute(stack.db, "DELETE FROM metrics_executions WHERE model_id = %s", FIRST)
    refresh_until(page, IS_REMOVED, FIRST)

    page.keyboard.press("Enter")

    expect(row(page, SECOND)).to_have_count(0)
    assert scheduled_models(stack) == [THIRD]


@pytest.mark.parametrize("overlay", ["toast", "dialog"])
def test_double_click_on_what_covers_delete_deletes_nothing(stack: Stack, page: Page, overlay: str) -> None:
    if overlay == "toast":
        delete_button(page, THIRD).click()
        close = page.locator(".toast").get_by_role("button", name="Close")
    else:
        execute(stack.db, "DELETE FROM metrics_executions WHERE model_id = %s", THIRD)
        refresh_until(page, IS_REMOVED, THIRD)
        page.get_by_role("button", name="New schedule").click()
        close = page.get_by_role("button", name="Cancel")
    expect(row(page, THIRD)).to_have_count(0)
    page.clock.run_for(AFTER_REACTION_TIME)
    box = box_of(close)
    move_below(page, box, delete_button(page, SECOND))

    click(page, box)
    expect(close).to_be_hidden()
    click(page, box)

    assert_scheduled(stack, page, [FIRST, SECOND])


def move_below(page: Page, box: FloatRect, button: Locator) -> None:
    """Move the table so that a button lies below a position of the window."""
    move = "([element, left, top]) => Object.assign(element.style, { position: 'relative', left, top })"
    current = box_of(button)
    left, top = box["x"] - current["x"], box["y"] - current["y"]
    page.evaluate(move, [page.locator("#table").element_handle(), f"{left}px", f"{top}px"])


def test_double_click_on_delete_of_model_page_opens_no_dialog(
    stack: Stack, open_page: OpenPage, redis_server: local_redis.Server
) -> None:
    schedule(stack.db, FIRST, "@daily")
    due_at = datetime(2026, 11, 24, 11, tzinfo=UTC)
    with redis.Redis.from_url(redis_server.url) as client:
        ResultStore(client).save([Result(FIRST, due_at, due_at, "ok", 0.5, 2)])
    page = open_with_clock(open_page, f"{stack.url}/models/{FIRST}")
    stop_clock(page)
    add = page.get_by_role("button", name="New schedule")
    box = box_of(page.get_by_role("button", name="Delete"))

    click(page, box)
    expect(add).to_be_visible()
    assert contains(box_of(add), box)
    click(page, box)
    page.clock.run_for(AFTER_REACTION_TIME)
    expect(page.get_by_role("dialog")).to_be_hidden()
    click(page, box)

    expect(page.get_by_role("dialog")).to_be_visible()
