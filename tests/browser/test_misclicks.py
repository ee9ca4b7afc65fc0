"""Clicks on buttons that take the place of another one, on the overview and the model page."""

import uuid
from collections.abc import Sequence
from datetime import UTC, datetime

import pytest
import redis
from playwright.sync_api import FloatRect, Locator, Page, expect
from playwright.sync_api import TimeoutError as NotWithin

from core.results.models import Result
from core.results.repository import ResultStore
from devstack import redis as local_redis
from tests.browser.conftest import Open, render_anew
from tests.support.databases import model_ids, rows, run, schedule, wait_for
from tests.support.service_stack import Stack

FIRST, SECOND, THIRD = model_ids(3)
RESPONSE = 1000  # milliseconds; after that, a page is asked once more
LATER = 700  # milliseconds, after which a click is meant for what is there

# They come and go with the state of the system, or with a refresh that the jump of the clock ended, and move the table.
HIDE_NOTICES = """() => {
    const style = new CSSStyleSheet();
    style.replaceSync("#stale, #health, #summary { display: none }");
    document.adoptedStyleSheets = [style];
}"""
# With the model and what else is given.
IS_SHOWN = "([id]) => document.getElementById(`model-${id}`)"
IS_GONE = "([id]) => !document.getElementById(`model-${id}`)"
HAS_MOVED = "([id, y]) => document.querySelector(`#model-${id} [data-action=delete]`).getBoundingClientRect().y !== y"


@pytest.fixture
def page(stack: Stack, open_page: Open) -> Page:
    """Return the overview of three schedules, in a browser whose clock is stopped."""
    for model_id in (FIRST, SECOND, THIRD):
        schedule(stack.db, model_id, "@daily")
    page = opened(open_page, stack.url)
    stop_clock(page)
    return page


def opened(open_page: Open, url: str) -> Page:
    page = open_page("about:blank")
    page.clock.install()
    render_anew(url)
    page.goto(url)
    page.evaluate(HIDE_NOTICES)
    expect(page.get_by_role("button", name="Delete").first).to_be_visible()
    return page


def stop_clock(page: Page) -> None:
    page.clock.pause_at(page.evaluate("Date.now() + 1000"))


def row(page: Page, model_id: str) -> Locator:
    return page.locator(f"#model-{model_id}")


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
    """Refresh the page until a condition holds; its clock does not move."""

    def holds() -> bool:
        page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
        try:
            page.wait_for_function(condition, arg=values, polling=20, timeout=RESPONSE)
        except NotWithin:
            return False
        return True

    wait_for(holds)


def scheduled(stack: Stack) -> Sequence[str]:
    return [model_id for (model_id,) in rows(stack.db, "SELECT model_id::text FROM metrics_executions ORDER BY 1")]


def assert_scheduled(stack: Stack, page: Page, expected: Sequence[str]) -> None:
    """Check the schedules after a further one has shown: by then, an action would have been carried out."""
    added = str(uuid.UUID(int=9))
    schedule(stack.db, added, "@daily")
    refresh_until(page, IS_SHOWN, added)
    assert scheduled(stack) == [*expected, added]


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
    page.clock.run_for(LATER)

    click(page, box)

    expect(row(page, SECOND)).to_have_count(0)
    assert scheduled(stack) == [THIRD]


@pytest.mark.parametrize(
    "change",
    [
        f"DELETE FROM metrics_executions WHERE model_id = '{FIRST}'",
        f"INSERT INTO metrics_executions (model_id, cron_expression) VALUES ('{uuid.UUID(int=0)}', '@daily')",
    ],
)
def test_click_on_row_that_live_update_moved_does_nothing(stack: Stack, page: Page, change: str) -> None:
    aimed_at = box_of(delete_button(page, SECOND))
    run(stack.db, change)
    expected = scheduled(stack)

    refresh_until(page, HAS_MOVED, SECOND, aimed_at["y"])
    click(page, aimed_at)

    assert_scheduled(stack, page, expected)


def test_click_on_row_that_stayed_works_beside_live_update(stack: Stack, page: Page) -> None:
    run(stack.db, "DELETE FROM metrics_executions WHERE model_id = %s", THIRD)
    refresh_until(page, IS_GONE, THIRD)

    click(page, box_of(delete_button(page, FIRST)))

    expect(row(page, FIRST)).to_have_count(0)
    assert scheduled(stack) == [SECOND]


def test_keyboard_deletes_moved_row_at_once(stack: Stack, page: Page) -> None:
    delete_button(page, SECOND).focus()
    run(stack.db, "DELETE FROM metrics_executions WHERE model_id = %s", FIRST)
    refresh_until(page, IS_GONE, FIRST)

    page.keyboard.press("Enter")

    expect(row(page, SECOND)).to_have_count(0)
    assert scheduled(stack) == [THIRD]


@pytest.mark.parametrize("overlay", ["toast", "dialog"])
def test_double_click_on_what_covers_delete_deletes_nothing(stack: Stack, page: Page, overlay: str) -> None:
    if overlay == "toast":
        delete_button(page, THIRD).click()
        close = page.locator(".toast").get_by_role("button", name="Close")
    else:
        run(stack.db, "DELETE FROM metrics_executions WHERE model_id = %s", THIRD)
        refresh_until(page, IS_GONE, THIRD)
        page.get_by_role("button", name="New schedule").click()
        close = page.get_by_role("button", name="Cancel")
    expect(row(page, THIRD)).to_have_count(0)
    page.clock.run_for(LATER)
    box = box_of(close)
    place_over(page, box, delete_button(page, SECOND))

    click(page, box)
    expect(close).to_be_hidden()
    click(page, box)

    assert_scheduled(stack, page, [FIRST, SECOND])


def place_over(page: Page, box: FloatRect, button: Locator) -> None:
    """Move the table so that a button lies below a place of the window."""
    move = "([element, left, top]) => Object.assign(element.style, { position: 'relative', left, top })"
    below = box_of(button)
    left, top = box["x"] - below["x"], box["y"] - below["y"]
    page.evaluate(move, [page.locator("#table").element_handle(), f"{left}px", f"{top}px"])


def test_double_click_on_delete_of_model_page_opens_no_dialog(
    stack: Stack, open_page: Open, redis_server: local_redis.Server
) -> None:
    schedule(stack.db, FIRST, "@daily")
    due_at = datetime(2026, 11, 24, 11, tzinfo=UTC)
    with redis.Redis.from_url(redis_server.url) as client:
        ResultStore(client).save([Result(FIRST, due_at, due_at, "ok", 0.5, 2)])
    page = opened(open_page, f"{stack.url}/models/{FIRST}")
    stop_clock(page)
    add = page.get_by_role("button", name="New schedule")
    box = box_of(page.get_by_role("button", name="Delete"))

    click(page, box)
    expect(add).to_be_visible()
    assert contains(box_of(add), box)
    click(page, box)
    page.clock.run_for(LATER)
    expect(page.get_by_role("dialog")).to_be_hidden()
    click(page, box)

    expect(page.get_by_role("dialog")).to_be_visible()
