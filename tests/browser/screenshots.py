"""Screenshots of the pages, light and dark, wide and narrow: python -m tests.browser.screenshots FOLDER."""

import secrets
import sys
import tempfile
from pathlib import Path
from typing import Literal

from playwright.sync_api import Page, expect

from core.redis import create_client
from core.results.repository import ResultStore
from devstack import postgres as local_postgres
from devstack import redis as local_redis
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support.chromium import running_browser
from tests.support.databases import Databases
from tests.support.demo_data import SPAM, load_demo_data
from tests.support.service_stack import Stack, running_stack

WIDTHS = {"wide": 1280, "narrow": 360}
COLOR_SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
HEIGHT = 800
PATHS = {"overview": "/", "dialog": "/", "model": f"/models/{SPAM.model_id}"}


def main() -> None:
    """Take all screenshots; the README shows the first one."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
    with (
        tempfile.TemporaryDirectory() as logs,
        local_postgres.running() as server,
        local_redis.running() as redis_server,
    ):
        apply(server.url, passwords=passwords, test_data=False)
        with running_stack(Databases(server, passwords), redis_server.url, Path(logs)) as stack:
            load_demo_data(stack, ResultStore(create_client(redis_server.url)))
            stack.wait_for_fire("2026-11-24 12:00+00")
            take_screenshots(stack, folder)


def take_screenshots(stack: Stack, folder: Path) -> None:
    with running_browser() as browser:
        for width, pixels in WIDTHS.items():
            for color_scheme in COLOR_SCHEMES:
                context = browser.new_context(viewport={"width": pixels, "height": HEIGHT}, color_scheme=color_scheme)
                page = context.new_page()
                for name, path in PATHS.items():
                    page.goto(stack.url + path)
                    prepare(page, name)
                    file = folder / f"{name}-{color_scheme}-{width}.png"
                    page.screenshot(path=file, full_page=name != "dialog")
                    print(file)
                context.close()


def prepare(page: Page, name: str) -> None:
    """Wait until the page is complete, and fill the dialog."""
    if name == "model":
        expect(page.locator("#chart .line")).to_be_visible()
        expect(page.locator("#confusion")).to_be_visible()
        return
    expect(page.locator("#summary .tiles")).to_be_visible()
    page.wait_for_function("document.querySelector('time').textContent.endsWith('ago')")
    if name == "dialog":
        page.get_by_role("button", name="New schedule").click()
        page.get_by_label("Model id").last.fill("550e8400-e29b-41d4-a716-446655440000")
        page.get_by_label("Name (optional)").fill("Returns, next month")
        page.get_by_label("Cron expression").fill("30 2 28-29 3 *")
        page.get_by_role("combobox", name="Time zone").fill("Europe/Warsaw")
        expect(page.locator("#preview")).to_contain_text("clock change")


if __name__ == "__main__":
    main()
