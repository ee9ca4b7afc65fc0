"""The overview in a browser: schedules are added, edited, paused, deleted and found."""

import uuid
from typing import NamedTuple

import pytest
from playwright.sync_api import Page, Route, expect

from tests.support.browser import UPDATE_TIMEOUT, OpenPage, row
from tests.support.databases import execute, fetch_all, fetch_value, insert_label_row, schedule, wait_for
from tests.support.service_stack import Stack


@pytest.fixture
def model() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def page(stack: Stack, open_page: OpenPage) -> Page:
    return open_page(stack.url)


class Schedule(NamedTuple):
    name: str | None
    cron_expression: str
    timezone: str
    enabled: bool


def stored_schedule(stack: Stack, model_id: str) -> Schedule:
    [values] = fetch_all(
        stack.db,
        "SELECT name, cron_expression, timezone, enabled FROM metrics_executions WHERE model_id = %s",
        model_id,
    )
    return Schedule(*values)


def test_new_schedule_shows_preview_and_first_result(stack: Stack, page: Page, model: str) -> None:
    insert_label_row(stack.db, "[1, 0]", "[1, 1]", model)
    expect(page.get_by_text("There is no schedule yet.")).to_be_visible()

    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Model id").last.fill(model)
    page.get_by_label("Name (optional)").fill("Churn <b>weekly</b>")
    page.get_by_label("Cron expression").fill("30 2 * * *")
    page.get_by_role("combobox", name="Time zone").fill("Europe/Warsaw")
    preview = page.locator("#preview")
    expect(preview.get_by_text("At 02:30")).to_be_visible()
    expect(preview.get_by_role("row").nth(1)).to_contain_text("2026-11-25 01:30")
    expect(preview.get_by_role("row").nth(1)).to_contain_text("2026-11-25 02:30 +01:00")
    page.get_by_role("button", name="every 15 minutes").click()
    expect(preview.get_by_text("Every 15 minutes")).to_be_visible()
    page.get_by_role("button", name="Save").click()

    expect(row(page, model)).to_contain_text("Churn <b>weekly</b>", timeout=UPDATE_TIMEOUT)
    expect(row(page, model)).to_contain_text("in 30 s")
    assert stored_schedule(stack, model) == Schedule("Churn <b>weekly</b>", "*/15 * * * *", "Europe/Warsaw", True)
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    stack.wait_for_result(model, "12:00")
    expect(row(page, model)).to_contain_text("50.0 %", timeout=UPDATE_TIMEOUT)
    expect(row(page, model).get_by_text("fine")).to_be_visible()


def test_invalid_cron_shows_error_of_validation_and_changes_nothing(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "0 9 * * mon-fri")
    expect(row(page, model)).to_be_visible(timeout=UPDATE_TIMEOUT)

    row(page, model).get_by_role("button", name="Edit").click()
    cron = page.get_by_label("Cron expression")
    cron.fill("5/15 * * * *")

    message = 'cron_expression "5/15 * * * *" is refused: minute "5/15" has a step without a range. Write 5-59/15.'
    expect(page.locator("#cron_expression-error")).to_have_text(message)
    expect(cron).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#cron_expression-error")).to_have_text(message)
    expect(page.get_by_role("dialog")).to_be_visible()
    assert stored_schedule(stack, model).cron_expression == "0 9 * * mon-fri"

    cron.fill("5-59/15 * * * *")
    expect(page.locator("#cron_expression-error")).to_be_hidden()
    page.get_by_role("button", name="Save").click()
    expect(row(page, model)).to_contain_text("5-59/15 * * * *", timeout=UPDATE_TIMEOUT)
    assert stored_schedule(stack, model).cron_expression == "5-59/15 * * * *"


def test_all_field_errors_stay_after_save(page: Page) -> None:
    """The API validates the model id first."""
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Cron expression").fill("5/15 * * * *")
    expect(page.locator("#cron_expression-error")).to_contain_text("Write 5-59/15.")

    page.get_by_role("button", name="Save").click()

    expect(page.locator("#model_id-error")).to_contain_text("write a UUID")
    expect(page.locator("#cron_expression-error")).to_contain_text("Write 5-59/15.")


def test_zone_filter_suggests_time_zones(page: Page) -> None:
    option = page.locator("#zones option[value='Europe/Warsaw']")

    expect(option).to_have_count(1)


def test_preview_marks_dst_transition(stack: Stack, page: Page) -> None:
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Cron expression").fill("30 2 28-29 3 *")
    page.get_by_role("combobox", name="Time zone").fill("Europe/Warsaw")

    moved = page.locator("#preview").get_by_role("row").nth(1)
    expect(moved).to_contain_text("2027-03-28 03:00 +02:00")
    expect(moved).to_contain_text("clock change: moved from 02:30")


def test_concurrent_change_is_not_overwritten(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model)
    row(page, model).get_by_role("button", name="Edit").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    execute(stack.db, "UPDATE metrics_executions SET cron_expression = '7 * * * *' WHERE model_id = %s", model)

    page.get_by_label("Cron expression").fill("8 * * * *")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("alert")).to_contain_text("Somebody changed or deleted this schedule meanwhile")
    assert stored_schedule(stack, model).cron_expression == "7 * * * *"


def test_existing_schedule_is_not_replaced_by_new_one(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model)

    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Model id").last.fill(model)
    page.get_by_label("Cron expression").fill("8 * * * *")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("alert")).to_contain_text("This model has a schedule already")
    assert stored_schedule(stack, model).cron_expression == "* * * * *"


def test_pause_run_and_resume_update_row(stack: Stack, page: Page, model: str) -> None:
    insert_label_row(stack.db, '["a"]', '["a"]', model)
    schedule(stack.db, model, "@yearly")

    row(page, model).get_by_role("button", name="Pause").click()
    expect(row(page, model).get_by_text("paused", exact=True)).to_be_visible(timeout=UPDATE_TIMEOUT)
    assert stored_schedule(stack, model).enabled is False

    row(page, model).get_by_role("button", name="Run").click()
    expect(row(page, model)).to_contain_text("100.0 %")

    row(page, model).get_by_role("button", name="Resume").click()
    expect(row(page, model).get_by_text("fine", exact=True)).to_be_visible(timeout=UPDATE_TIMEOUT)
    assert stored_schedule(stack, model).enabled is True


def test_undo_restores_deleted_schedule(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "0 9 * * *", "Europe/Warsaw")
    execute(stack.db, "UPDATE metrics_executions SET name = 'Fraud', enabled = false WHERE model_id = %s", model)
    before = stored_schedule(stack, model)

    row(page, model).get_by_role("button", name="Delete").click()
    expect(row(page, model)).to_have_count(0, timeout=UPDATE_TIMEOUT)
    assert fetch_value(stack.db, "SELECT count(*) FROM metrics_executions WHERE model_id = %s", model) == 0
    page.get_by_role("button", name="Undo").click()

    expect(row(page, model)).to_contain_text("Fraud", timeout=UPDATE_TIMEOUT)
    assert stored_schedule(stack, model) == before


def test_schedule_is_added_by_keyboard(stack: Stack, page: Page, model: str) -> None:
    page.get_by_role("button", name="New schedule").focus()
    page.keyboard.press("Enter")
    page.keyboard.type(model)
    page.keyboard.press("Tab")
    page.keyboard.type("Typed")
    page.keyboard.press("Tab")
    page.keyboard.type("@daily")
    page.keyboard.press("Enter")

    expect(row(page, model)).to_contain_text("Typed", timeout=UPDATE_TIMEOUT)
    expect(page.get_by_role("button", name="New schedule")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_focus_follows_actions_by_keyboard(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "@daily")

    row(page, model).get_by_role("button", name="Pause").press("Enter")
    expect(row(page, model).get_by_role("button", name="Resume")).to_be_focused()
    row(page, model).get_by_role("button", name="Edit").press("Enter")
    expect(page.get_by_label("Cron expression")).to_be_focused()
    page.keyboard.press("Escape")
    expect(row(page, model).get_by_role("button", name="Edit")).to_be_focused()
    row(page, model).get_by_role("button", name="Delete").press("Enter")
    expect(page.get_by_role("button", name="Undo")).to_be_focused()
    page.keyboard.press("Enter")
    expect(row(page, model).get_by_role("button", name="Delete")).to_be_focused()


def test_slow_save_does_not_affect_next_dialog(stack: Stack, page: Page, model: str) -> None:
    """Its outcome is shown in a toast."""
    other = str(uuid.uuid4())
    # In one statement: if one row came after the other, it might move the other one under the pointer.
    insert = "INSERT INTO metrics_executions (model_id, cron_expression) VALUES (%s, '@daily'), (%s, '@hourly')"
    execute(stack.db, insert, model, other)
    delayed: list[Route] = []
    page.route(
        "**/schedule/*", lambda route: delayed.append(route) if route.request.method == "PATCH" else route.fallback()
    )
    dialog, save = page.get_by_role("dialog"), page.get_by_role("button", name="Save")
    for model_id in (model, other):
        row(page, model_id).get_by_role("button", name="Edit").click()
        expect(dialog).to_be_visible()
        if model_id == model:
            save.dblclick()
            page.keyboard.press("Escape")
    execute(stack.db, "UPDATE metrics_executions SET name = 'Meanwhile' WHERE model_id = %s", model)

    [save_request] = delayed
    save_request.continue_()

    expect(page.locator(".toast.bad")).to_contain_text("The schedule is not saved: ")
    expect(dialog).to_be_visible()
    expect(page.get_by_label("Cron expression")).to_have_value("@hourly")
    expect(page.locator("#dialog-error")).to_be_empty()


def test_change_in_sql_is_shown_and_keeps_focus(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "@daily")
    button = row(page, model).get_by_role("button", name="Edit")
    expect(button).to_be_visible(timeout=UPDATE_TIMEOUT)
    button.focus()
    page.evaluate("window.wasNotReloaded = true")

    execute(stack.db, "UPDATE metrics_executions SET name = 'Renamed in psql' WHERE model_id = %s", model)
    schedule(stack.db, str(uuid.UUID(int=1)), "@hourly")

    expect(row(page, model)).to_contain_text("Renamed in psql", timeout=UPDATE_TIMEOUT)
    expect(row(page, str(uuid.UUID(int=1)))).to_be_visible(timeout=UPDATE_TIMEOUT)
    expect(button).to_be_focused()
    assert page.evaluate("window.wasNotReloaded")


def test_removal_of_row_above_keeps_focus(stack: Stack, page: Page) -> None:
    first, second = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
    schedule(stack.db, first, "@daily")
    schedule(stack.db, second, "@daily")
    button = row(page, second).get_by_role("button", name="Edit")
    expect(button).to_be_visible(timeout=UPDATE_TIMEOUT)
    button.focus()

    execute(stack.db, "DELETE FROM metrics_executions WHERE model_id = %s", first)

    expect(row(page, first)).to_have_count(0, timeout=UPDATE_TIMEOUT)
    expect(button).to_be_focused()


def test_page_shows_outage_and_recovers(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "@daily")
    expect(row(page, model)).to_be_visible(timeout=UPDATE_TIMEOUT)

    stack.services["api"].kill()
    banner = page.locator("#stale")
    expect(banner).to_contain_text("The server does not answer. What you see may be out of date.")
    expect(row(page, model)).to_be_visible()
    stack.services["api"].start()
    wait_for(lambda: stack.call("/readyz")[0] == 200)
    execute(stack.db, "UPDATE metrics_executions SET name = 'Back again' WHERE model_id = %s", model)

    expect(row(page, model)).to_contain_text("Back again", timeout=20_000)
    expect(banner).to_be_hidden()


def test_filters_match_name_id_and_status(stack: Stack, page: Page) -> None:
    ids = [str(uuid.UUID(int=number << 100 | 7)) for number in range(1, 5)]
    for number, model_id in enumerate(ids):
        schedule(stack.db, model_id, "@daily")
        execute(
            stack.db, "UPDATE metrics_executions SET name = %s WHERE model_id = %s", f"Model 100% {number}", model_id
        )
    execute(stack.db, "UPDATE metrics_executions SET enabled = false WHERE model_id = %s", ids[3])
    matching = page.locator("tbody tr[id^=model]")
    expect(matching).to_have_count(4)

    search = page.get_by_role("searchbox")
    for text, expected in (("mODEL 100% 2", [2]), (ids[1][:9], [1]), ("100% ", [0, 1, 2, 3]), ("100_", [])):
        search.fill(text)
        search.press("Enter")
        expect(matching).to_have_count(len(expected))
        for number in expected:
            expect(row(page, ids[number])).to_be_visible()
    expect(page.get_by_text("No schedule fits these filters.")).to_be_visible()

    page.get_by_role("link", name="Clear").click()
    page.get_by_role("link", name="paused").click()
    expect(matching).to_have_count(1)
    expect(row(page, ids[3])).to_be_visible()


def test_run_request_is_shown_while_scheduler_is_down(
    stack: Stack, page: Page, model: str, open_page: OpenPage
) -> None:
    insert_label_row(stack.db, '["a"]', '["a"]', model)
    schedule(stack.db, model, "@yearly")
    execute(stack.db, "UPDATE metrics_executions SET name = 'Spam filter' WHERE model_id = %s", model)
    model_page = open_page(f"{stack.url}/models/{model}")
    stack.services["scheduler"].kill()

    row(page, model).get_by_role("button", name="Run").click()

    expect(page.locator(".toast")).to_contain_text("Spam filter: run requested.")
    expect(row(page, model)).to_contain_text("run requested 11:59:30 UTC", timeout=UPDATE_TIMEOUT)
    expect(model_page.locator("#model")).to_contain_text("run requested 11:59:30 UTC", timeout=UPDATE_TIMEOUT)
    stack.services["scheduler"].start()
    expect(row(page, model)).to_contain_text("100.0 %", timeout=20_000)
    for element in (row(page, model), model_page.locator("#model")):
        expect(element).not_to_contain_text("run requested")
