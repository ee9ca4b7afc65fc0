"""A real browser before a real stack, by make test-browser. Without a Chromium here, the tests skip and say so."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from local import redis as local_redis
from tests.databases import Databases
from tests.stack import Stack, running

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
# It looks for its maker's servers otherwise, and as root, as in containers, it starts without its sandbox only.
ARGUMENTS = ["--disable-background-networking", "--disable-component-update", "--disable-gpu", "--no-first-run"]
PATIENCE = 5000  # milliseconds, for whatever a test waits for

Open = Callable[..., Page]


def chromium_path() -> str | None:
    return next(filter(None, map(shutil.which, NAMES)), None)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not os.environ.get("BROWSER_TESTS"):
        pytest.skip("make test-browser runs it: it needs Chromium, and takes a minute")
    path = chromium_path()
    if path is None:
        pytest.skip(f"no browser here: none of {', '.join(NAMES)} is on the PATH (Debian: apt install chromium)")
    arguments = [*ARGUMENTS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=arguments)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def stack(
    chromium: Browser,
    databases: Databases,
    redis_server: local_redis.Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    with running(databases, redis_server.url, tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[Open]:
    """Return a function that opens an address as somebody new to it; what the browser complains of fails the test."""
    complaints: list[str] = []
    with ExitStack() as closing:

        def opened(url: str, *, width: int = 1280, color_scheme: str = "light", **options: object) -> Page:
            context = chromium.new_context(
                viewport={"width": width, "height": 800},
                color_scheme=color_scheme,  # type: ignore[arg-type]  # one of its literals
                **options,  # type: ignore[arg-type]
            )
            closing.callback(context.close)
            context.set_default_timeout(PATIENCE)
            page = context.new_page()
            page.on("pageerror", lambda error: complaints.append(str(error)))
            page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
            page.goto(url)
            return page

        yield opened
    # What the server refuses, or does not answer, the browser notes as an error of its own; the pages show it.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []
