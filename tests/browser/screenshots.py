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
from tests.browser import chromium, scene
from tests.support.databases import Databases
from tests.support.service_stack import Stack, running_stack

WIDTHS = {"wide": 1280, "narrow": 360}
SCHEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")
HEIGHT = 800


def main() -> None:
    """Take all of them; the README shows the first one."""
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
    with (
        tempfile.TemporaryDirectory() as logs,
        local_postgres.running() as server,
        local_redis.running() as queue,
    ):
        apply(server.url, passwords=passwords, test_data=False)
        with running_stack(Databases(server, passwords), queue.url, Path(logs)) as stack:
            scene.stage(stack, ResultStore(create_client(queue.url)))
            stack.wait_for_fire("2026-11-24 12:00+00")
            shoot(stack, folder)


def shoot(stack: Stack, folder: Path) -> None:
    spam = next(scene.model_id(model) for model in scene.MODELS if model.name == scene.SPAM)
    with chromium.running() as browser:
        for width, pixels in WIDTHS.items():
            for scheme in SCHEMES:
                context = browser.new_context(viewport={"width": pixels, "height": HEIGHT}, color_scheme=scheme)
                page = context.new_page()
                for name, path in {"overview": "/", "dialog": "/", "model": f"/models/{spam}"}.items():
                    page.goto(stack.url + path)
                    prepare(page, name)
                    file = folder / f"{name}-{scheme}-{width}.png"
                    page.screenshot(path=file, full_page=name != "dialog")
                    print(file)
                context.close()


def prepare(page: Page, name: str) -> None:
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
