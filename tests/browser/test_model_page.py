"""The model page in a browser: chart, confusion matrix, runs."""

import re
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
import redis
from playwright.sync_api import Locator, Page, expect

from core.results.models import Result
from core.results.repository import ResultStore
from devstack import redis as local_redis
from tests.support.browser import UPDATE_TIMEOUT, OpenPage
from tests.support.databases import bypass_triggers, execute, insert_label_row, schedule
from tests.support.service_stack import Stack

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
RUNS = 60  # one a minute, the last one at 11:59
MISSED = {20, 21, 22}
FAILED = {40}


@pytest.fixture
def results(redis_server: local_redis.Server) -> Iterator[ResultStore]:
    with redis.Redis.from_url(redis_server.url) as client:
        yield ResultStore(client)


@pytest.fixture
def model(stack: Stack, results: ResultStore) -> str:
    """A model with the results of an hour, without those of three due times and with a failed one."""
    model_id = str(uuid.uuid4())
    schedule(stack.db, model_id)
    with bypass_triggers(stack.db):
        execute(
            stack.db,
            "UPDATE metrics_executions SET active_since = %s WHERE model_id = %s",
            NOON - timedelta(days=1), model_id,
        )  # fmt: skip
    results.save(past_result(model_id, number) for number in range(RUNS) if number not in MISSED)
    return model_id


def past_result(model_id: str, number: int) -> Result:
    due_at = NOON - timedelta(minutes=RUNS - number)
    calculated_at = due_at + timedelta(milliseconds=12)
    if number in FAILED:
        return Result(model_id, due_at, calculated_at, "error", error="y_true holds null at position 0")
    return Result(model_id, due_at, calculated_at, "ok", accuracy=0.9 - number / 1000, samples=100 + number)


@pytest.fixture
def page(stack: Stack, model: str, open_page: OpenPage) -> Page:
    page = open_page(f"{stack.url}/models/{model}")
    expect(page.locator("#chart .line")).to_be_visible()
    return page


def chart(page: Page) -> Locator:
    return page.locator("#chart svg")


def test_chart_has_gaps_at_failed_and_missed_runs(page: Page) -> None:
    line = page.locator("#chart .line").get_attribute("d") or ""
    assert line.count("M") == 3  # a new segment after each gap
    assert line.count("L") == RUNS - len(MISSED) - len(FAILED) - 3
    expect(page.locator("#chart .missed")).to_have_count(1)
    expect(page.locator("#chart .failed")).to_have_count(1)
    expect(chart(page)).to_have_attribute("aria-label", re.compile("57 runs, accuracy from 84.1 % to 90.0 %"))
    expect(page.locator("#chart .legend")).to_contain_text("3 moments missed")


def test_chart_shows_exact_values_by_pointer_and_keyboard(page: Page) -> None:
    box = chart(page).bounding_box()
    assert box
    page.mouse.move(box["x"] + box["width"] - 16, box["y"] + 50)
    output = page.locator("#chart output")
    expect(output).to_have_text("2026-11-24 11:59:00 UTC: 84.10 %, 159 samples")

    chart(page).focus()
    for _ in range(19):
        page.keyboard.press("ArrowLeft")
    expect(output).to_have_text("2026-11-24 11:40:00 UTC: y_true holds null at position 0, 0 samples")
    page.keyboard.press("Home")
    expect(output).to_have_text("2026-11-24 11:00:00 UTC: 90.00 %, 100 samples")


def test_chart_zooms_by_drag_and_keyboard(page: Page) -> None:
    box = chart(page).bounding_box()
    assert box
    left, top, width = box["x"], box["y"] + 80, box["width"]
    page.mouse.move(left + 0.7 * width, top)
    page.mouse.down()
    page.mouse.move(left + 0.9 * width, top, steps=4)
    page.mouse.up()

    visible_runs = re.compile(r"Accuracy over time: 1[0-4] runs")
    expect(chart(page)).to_have_attribute("aria-label", visible_runs)
    expect(page.locator("#chart .missed")).to_have_count(1)  # outside of the visible range, clipped
    chart(page).dblclick()
    expect(chart(page)).to_have_attribute("aria-label", re.compile("57 runs"))

    chart(page).focus()
    page.keyboard.press("End")
    page.keyboard.press("+")
    expect(chart(page)).to_have_attribute("aria-label", re.compile(r"Accuracy over time: (29|3[0-2]) runs"))
    page.keyboard.press("Escape")
    expect(chart(page)).to_have_attribute("aria-label", re.compile("57 runs"))


def test_new_run_appears_in_runs_chart_and_confusion_matrix(stack: Stack, page: Page, model: str) -> None:
    insert_label_row(stack.db, '["cat", "cat", "dog", "bird"]', '["cat", "dog", "dog", "cat"]', model)
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    stack.wait_for_result(model, "12:00")

    runs = page.locator("#runs tbody tr")
    expect(runs.first).to_contain_text("2026-11-24 12:00:00 UTC", timeout=UPDATE_TIMEOUT)
    expect(runs.first).to_contain_text("50.0 %")
    expect(chart(page)).to_have_attribute("aria-label", re.compile("58 runs, accuracy from 50.0 %"))
    confusion = page.locator("#confusion table")
    expect(confusion.locator("thead th")).to_have_text(["true \\ predicted", "bird", "cat", "dog"])
    expect(confusion.locator("tbody tr").nth(0).locator("td")).to_have_text(["0", "1", "0"])
    expect(confusion.locator("tbody tr").nth(1).locator("td")).to_have_text(["0", "1", "1"])
    expect(confusion.locator("tbody tr").nth(2).locator("td")).to_have_text(["0", "0", "1"])


def test_zoomed_range_follows_newest_run(stack: Stack, page: Page, model: str) -> None:
    box = chart(page).bounding_box()
    assert box
    page.mouse.move(box["x"] + 0.8 * box["width"], box["y"] + 80)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] - 1, box["y"] + 80, steps=4)
    page.mouse.up()
    page.mouse.move(0, 0)
    expect(chart(page)).to_have_attribute("aria-label", re.compile(r"accuracy from 84.1 % to"))

    insert_label_row(stack.db, '["cat", "dog"]', '["cat", "cat"]', model)
    stack.wait_until_scheduled()
    stack.set_minute("12:00")

    expect(chart(page)).to_have_attribute("aria-label", re.compile("accuracy from 50.0 % to 85.. %"))


def test_range_button_shows_last_hour(stack: Stack, results: ResultStore, model: str, open_page: OpenPage) -> None:
    due_at = NOON - timedelta(days=30)
    results.save([Result(model, due_at, due_at, "ok", accuracy=0.1, samples=1)])
    page = open_page(f"{stack.url}/models/{model}")
    expect(chart(page)).to_have_attribute("aria-label", re.compile("58 runs"))

    page.get_by_role("button", name="1 h").click()

    expect(chart(page)).to_have_attribute("aria-label", re.compile("5[5-7] runs, accuracy from 84.1 %"))
    expect(page.get_by_role("button", name="1 h")).to_have_attribute("aria-pressed", "true")
    page.get_by_role("button", name="Pause").hover()
    expect(page.locator("#chart output")).to_have_text("24 Nov 11:00 to 24 Nov 12:00, UTC")


def test_chart_is_loaded_again_after_network_error(stack: Stack, model: str, open_page: OpenPage) -> None:
    page = open_page("about:blank")
    page.route("**/chart", lambda route: route.abort(), times=2)
    page.goto(f"{stack.url}/models/{model}")

    expect(page.locator("#chart .line")).to_be_visible()


def test_runs_are_paginated_with_missed_due_times(page: Page, model: str) -> None:
    rows = page.locator("#runs tbody tr:not(.missed)")
    expect(rows).to_have_count(50)
    expect(rows.nth(19)).to_contain_text("y_true holds null at position 0")
    missed = page.locator("#runs tr.missed")
    expect(missed).to_have_text(["3 moments were missed"])

    page.get_by_role("link", name="Earlier").click()
    expect(rows).to_have_count(7)
    expect(rows.last).to_contain_text("2026-11-24 11:00:00 UTC")
    page.get_by_role("link", name="Newest").click()
    expect(rows).to_have_count(50)


def test_delete_keeps_results_and_can_be_undone(stack: Stack, page: Page, model: str) -> None:
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("It has no schedule; its results stay.")).to_be_visible()
    expect(page.locator("#runs tbody tr").first).to_be_visible()
    page.get_by_role("button", name="Undo").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible(timeout=UPDATE_TIMEOUT)


def test_dialog_stays_open_when_element_above_is_removed(stack: Stack, page: Page, model: str) -> None:
    """Such as the problems of the system."""
    page.get_by_role("button", name="Edit").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("Typed")
    page.evaluate(
        "document.querySelector('main').prepend(Object.assign(document.createElement('p'), { id: 'removed' }))"
    )

    execute(stack.db, "UPDATE metrics_executions SET timezone = 'Europe/Warsaw' WHERE model_id = %s", model)

    expect(page.locator("#model")).to_contain_text("Europe/Warsaw", timeout=UPDATE_TIMEOUT)
    expect(page.locator("#removed")).to_have_count(0)
    assert dialog.evaluate("dialog => dialog.matches(':modal')")
    expect(dialog.get_by_label("Name")).to_be_focused()
    expect(dialog.get_by_label("Name")).to_have_value("Typed")


def test_unknown_model_shows_error(stack: Stack, open_page: OpenPage) -> None:
    unknown = uuid.uuid4()
    page = open_page(f"{stack.url}/models/{unknown}")

    expect(page.get_by_text(f"model {unknown} has neither a schedule nor a result")).to_be_visible()


def test_chart_is_loaded_again_after_error_response(page: Page) -> None:
    page.route("**/chart", lambda route: route.fulfill(status=503, json={"detail": "too many"}), times=2)

    page.reload()

    expect(page.locator("#chart .legend")).to_have_text("too many")
    expect(page.locator("#chart .line")).to_be_visible(timeout=2 * UPDATE_TIMEOUT)
