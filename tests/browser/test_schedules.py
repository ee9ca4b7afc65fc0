"""The overview, as somebody uses it who has never read the README."""

import uuid
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, Route, expect

from tests.browser.conftest import Open
from tests.support.databases import log_labels, one, rows, run, schedule, wait_for
from tests.support.service_stack import Stack

SOON = 2000  # milliseconds in which changes have to show by themselves


@pytest.fixture
def model() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def page(stack: Stack, open_page: Open) -> Page:
    return open_page(stack.url)


def row(page: Page, model_id: str) -> Locator:
    return page.locator(f"#model-{model_id}")


def schedule_of(stack: Stack, model_id: str) -> tuple[Any, ...]:
    [found] = rows(
        stack.db,
        "SELECT name, cron_expression, timezone, enabled FROM metrics_executions WHERE model_id = %s",
        model_id,
    )
    return found


def test_somebody_new_adds_a_schedule_and_sees_its_first_result_arrive(stack: Stack, page: Page, model: str) -> None:
    log_labels(stack.db, "[1, 0]", "[1, 1]", model)
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

    expect(row(page, model)).to_contain_text("Churn <b>weekly</b>", timeout=SOON)
    expect(row(page, model)).to_contain_text("in 30 s")
    assert schedule_of(stack, model) == ("Churn <b>weekly</b>", "*/15 * * * *", "Europe/Warsaw", True)
    stack.wait_until_scheduled()
    stack.set_minute("12:00")
    stack.wait_for_result(model, "12:00")
    expect(row(page, model)).to_contain_text("50.0 %", timeout=SOON)
    expect(row(page, model).get_by_text("fine")).to_be_visible()


def test_nonsense_is_refused_in_the_words_of_the_gate_and_changes_nothing(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "0 9 * * mon-fri")
    expect(row(page, model)).to_be_visible(timeout=SOON)

    row(page, model).get_by_role("button", name="Edit").click()
    cron = page.get_by_label("Cron expression")
    cron.fill("5/15 * * * *")

    words = 'cron_expression "5/15 * * * *" is refused: minute "5/15" has a step without a range. Write 5-59/15.'
    expect(page.locator("#cron_expression-error")).to_have_text(words)
    expect(cron).to_have_attribute("aria-invalid", "true")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#cron_expression-error")).to_have_text(words)
    expect(page.get_by_role("dialog")).to_be_visible()
    assert schedule_of(stack, model)[1] == "0 9 * * mon-fri"

    cron.fill("5-59/15 * * * *")
    expect(page.locator("#cron_expression-error")).to_be_hidden()
    page.get_by_role("button", name="Save").click()
    expect(row(page, model)).to_contain_text("5-59/15 * * * *", timeout=SOON)
    assert schedule_of(stack, model)[1] == "5-59/15 * * * *"


def test_all_that_is_wrong_stays_said_after_a_try_to_save(page: Page) -> None:
    """The API looks at the model id first."""
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Cron expression").fill("5/15 * * * *")
    expect(page.locator("#cron_expression-error")).to_contain_text("Write 5-59/15.")

    page.get_by_role("button", name="Save").click()

    expect(page.locator("#model_id-error")).to_contain_text("write a UUID")
    expect(page.locator("#cron_expression-error")).to_contain_text("Write 5-59/15.")


def test_the_filter_of_zones_offers_their_names(page: Page) -> None:
    offered = page.locator("#zones option[value='Europe/Warsaw']")

    expect(offered).to_have_count(1)


def test_the_dialog_marks_the_nights_of_daylight_saving(stack: Stack, page: Page) -> None:
    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Cron expression").fill("30 2 28-29 3 *")
    page.get_by_role("combobox", name="Time zone").fill("Europe/Warsaw")

    moved = page.locator("#preview").get_by_role("row").nth(1)
    expect(moved).to_contain_text("2027-03-28 03:00 +02:00")
    expect(moved).to_contain_text("clock change: moved from 02:30")


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model)
    row(page, model).get_by_role("button", name="Edit").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    run(stack.db, "UPDATE metrics_executions SET cron_expression = '7 * * * *' WHERE model_id = %s", model)

    page.get_by_label("Cron expression").fill("8 * * * *")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("alert")).to_contain_text("Somebody changed or deleted this schedule meanwhile")
    assert schedule_of(stack, model)[1] == "7 * * * *"


def test_a_model_that_has_a_schedule_does_not_get_another_one_by_mistake(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model)

    page.get_by_role("button", name="New schedule").click()
    page.get_by_label("Model id").last.fill(model)
    page.get_by_label("Cron expression").fill("8 * * * *")
    page.get_by_role("button", name="Save").click()

    expect(page.get_by_role("alert")).to_contain_text("This model has a schedule already")
    assert schedule_of(stack, model)[1] == "* * * * *"


def test_pause_and_resume_and_run_now(stack: Stack, page: Page, model: str) -> None:
    log_labels(stack.db, '["a"]', '["a"]', model)
    schedule(stack.db, model, "@yearly")

    row(page, model).get_by_role("button", name="Pause").click()
    expect(row(page, model).get_by_text("paused", exact=True)).to_be_visible(timeout=SOON)
    assert schedule_of(stack, model)[3] is False

    row(page, model).get_by_role("button", name="Run").click()
    expect(row(page, model)).to_contain_text("100.0 %")

    row(page, model).get_by_role("button", name="Resume").click()
    expect(row(page, model).get_by_text("fine", exact=True)).to_be_visible(timeout=SOON)
    assert schedule_of(stack, model)[3] is True


def test_a_schedule_is_deleted_and_comes_back(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "0 9 * * *", "Europe/Warsaw")
    run(stack.db, "UPDATE metrics_executions SET name = 'Fraud', enabled = false WHERE model_id = %s", model)
    before = schedule_of(stack, model)

    row(page, model).get_by_role("button", name="Delete").click()
    expect(row(page, model)).to_have_count(0, timeout=SOON)
    assert one(stack.db, "SELECT count(*) FROM metrics_executions WHERE model_id = %s", model) == 0
    page.get_by_role("button", name="Undo").click()

    expect(row(page, model)).to_contain_text("Fraud", timeout=SOON)
    assert schedule_of(stack, model) == before


def test_it_can_be_used_by_the_keyboard_alone(stack: Stack, page: Page, model: str) -> None:
    page.get_by_role("button", name="New schedule").focus()
    page.keyboard.press("Enter")
    page.keyboard.type(model)
    page.keyboard.press("Tab")
    page.keyboard.type("Typed")
    page.keyboard.press("Tab")
    page.keyboard.type("@daily")
    page.keyboard.press("Enter")

    expect(row(page, model)).to_contain_text("Typed", timeout=SOON)
    expect(page.get_by_role("button", name="New schedule")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("dialog")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()


def test_the_focus_stays_on_what_somebody_uses_by_keyboard(stack: Stack, page: Page, model: str) -> None:
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


def test_a_save_that_takes_long_leaves_the_next_dialog_alone(stack: Stack, page: Page, model: str) -> None:
    """It says by itself what came of it."""
    other = str(uuid.uuid4())
    # In one statement: if one row came after the other, it might take its place under the pointer.
    insert = "INSERT INTO metrics_executions (model_id, cron_expression) VALUES (%s, '@daily'), (%s, '@hourly')"
    run(stack.db, insert, model, other)
    held: list[Route] = []
    page.route("**/schedule/*", lambda it: held.append(it) if it.request.method == "PATCH" else it.fallback())
    dialog, save = page.get_by_role("dialog"), page.get_by_role("button", name="Save")
    for each in (model, other):
        row(page, each).get_by_role("button", name="Edit").click()
        expect(dialog).to_be_visible()
        if each == model:
            save.dblclick()
            page.keyboard.press("Escape")
    run(stack.db, "UPDATE metrics_executions SET name = 'Meanwhile' WHERE model_id = %s", model)

    [route] = held
    route.continue_()

    expect(page.locator(".toast.bad")).to_contain_text("The schedule is not saved: ")
    expect(dialog).to_be_visible()
    expect(page.get_by_label("Cron expression")).to_have_value("@hourly")
    expect(page.locator("#dialog-error")).to_be_empty()


def test_sql_shows_by_itself_and_the_focus_stays_where_it_is(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "@daily")
    button = row(page, model).get_by_role("button", name="Edit")
    expect(button).to_be_visible(timeout=SOON)
    button.focus()
    page.evaluate("window.stillThere = true")

    run(stack.db, "UPDATE metrics_executions SET name = 'Renamed in psql' WHERE model_id = %s", model)
    schedule(stack.db, str(uuid.UUID(int=1)), "@hourly")

    expect(row(page, model)).to_contain_text("Renamed in psql", timeout=SOON)
    expect(row(page, str(uuid.UUID(int=1)))).to_be_visible(timeout=SOON)
    expect(button).to_be_focused()
    assert page.evaluate("window.stillThere")


def test_the_focus_stays_where_it_is_when_a_row_above_goes(stack: Stack, page: Page) -> None:
    first, second = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))
    schedule(stack.db, first, "@daily")
    schedule(stack.db, second, "@daily")
    button = row(page, second).get_by_role("button", name="Edit")
    expect(button).to_be_visible(timeout=SOON)
    button.focus()

    run(stack.db, "DELETE FROM metrics_executions WHERE model_id = %s", first)

    expect(row(page, first)).to_have_count(0, timeout=SOON)
    expect(button).to_be_focused()


def test_a_page_whose_server_is_away_says_so_and_goes_on_by_itself(stack: Stack, page: Page, model: str) -> None:
    schedule(stack.db, model, "@daily")
    expect(row(page, model)).to_be_visible(timeout=SOON)

    stack.services["api"].kill()
    banner = page.locator("#stale")
    expect(banner).to_contain_text("The server does not answer. What you see may be out of date.")
    expect(row(page, model)).to_be_visible()
    stack.services["api"].start()
    wait_for(lambda: stack.call("/readyz")[0] == 200)
    run(stack.db, "UPDATE metrics_executions SET name = 'Back again' WHERE model_id = %s", model)

    expect(row(page, model)).to_contain_text("Back again", timeout=20_000)
    expect(banner).to_be_hidden()


def test_filters_find_by_name_by_id_and_by_state(stack: Stack, page: Page) -> None:
    ids = [str(uuid.UUID(int=number << 100 | 7)) for number in range(1, 5)]
    for number, model_id in enumerate(ids):
        schedule(stack.db, model_id, "@daily")
        run(stack.db, "UPDATE metrics_executions SET name = %s WHERE model_id = %s", f"Model 100% {number}", model_id)
    run(stack.db, "UPDATE metrics_executions SET enabled = false WHERE model_id = %s", ids[3])
    found = page.locator("tbody tr[id^=model]")
    expect(found).to_have_count(4)

    search = page.get_by_role("searchbox")
    for text, expected in (("mODEL 100% 2", [2]), (ids[1][:9], [1]), ("100% ", [0, 1, 2, 3]), ("100_", [])):
        search.fill(text)
        search.press("Enter")
        expect(found).to_have_count(len(expected))
        for number in expected:
            expect(row(page, ids[number])).to_be_visible()
    expect(page.get_by_text("No schedule fits these filters.")).to_be_visible()

    page.get_by_role("link", name="Clear").click()
    page.get_by_role("link", name="paused").click()
    expect(found).to_have_count(1)
    expect(row(page, ids[3])).to_be_visible()


def test_requested_run_is_not_called_running_while_no_scheduler_lives(
    stack: Stack, page: Page, model: str, open_page: Open
) -> None:
    log_labels(stack.db, '["a"]', '["a"]', model)
    schedule(stack.db, model, "@yearly")
    run(stack.db, "UPDATE metrics_executions SET name = 'Spam filter' WHERE model_id = %s", model)
    detail = open_page(f"{stack.url}/models/{model}")
    stack.services["scheduler"].kill()

    row(page, model).get_by_role("button", name="Run").click()

    expect(page.locator(".toast")).to_contain_text("Spam filter: run requested.")
    expect(row(page, model)).to_contain_text("run requested 11:59:30 UTC", timeout=SOON)
    expect(detail.locator("#model")).to_contain_text("run requested 11:59:30 UTC", timeout=SOON)
    stack.services["scheduler"].start()
    expect(row(page, model)).to_contain_text("100.0 %", timeout=20_000)
    for shown in (row(page, model), detail.locator("#model")):
        expect(shown).not_to_contain_text("run requested")
