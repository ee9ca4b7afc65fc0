"""A browser and a stack of all services, for make test-browser; the tests skip without Chromium."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest
from playwright.sync_api import Browser, Page

from devstack import redis as local_redis
from tests.support.browser import OpenPage, refresh_page_cache
from tests.support.chromium import EXECUTABLES, find_executable, running_browser
from tests.support.databases import Databases
from tests.support.service_stack import Stack, running_stack

TIMEOUT = 5000  # milliseconds, of each expectation

# The browser logs error responses, and missing ones; the pages show them.
EXPECTED_ERRORS = "Failed to load resource"


def pytest_itemcollected(item: pytest.Item) -> None:
    """Mark the tests of this folder."""
    item.add_marker("browser")


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if find_executable() is None:
        names = ", ".join(EXECUTABLES)
        pytest.skip(f"no browser here: none of {names} is on the PATH (Debian: apt install chromium)")
    with running_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def stack(
    chromium: Browser,
    databases: Databases,
    redis_server: local_redis.Server,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Stack]:
    with running_stack(databases, redis_server.url, tmp_path_factory.mktemp("stack")) as stack:
        yield stack


@pytest.fixture(autouse=True)
def _empty_stack(stack: Stack) -> None:
    stack.reset()


@pytest.fixture
def open_page(chromium: Browser) -> Iterator[OpenPage]:
    """Return a function that opens a URL in a new browser context; errors in its console fail the test."""
    errors: list[str] = []
    with ExitStack() as contexts:

        def open_url(url: str, *, width: int = 1280, color_scheme: str = "light", **options: object) -> Page:
            context = chromium.new_context(
                viewport={"width": width, "height": 800},
                color_scheme=color_scheme,  # type: ignore[arg-type]  # one of its literals
                **options,  # type: ignore[arg-type]
            )
            contexts.callback(context.close)
            context.set_default_timeout(TIMEOUT)
            page = context.new_page()
            page.on("pageerror", lambda error: errors.append(str(error)))
            page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
            if url.startswith("http:"):
                refresh_page_cache(url)
            page.goto(url)
            return page

        yield open_url
    assert [error for error in errors if not error.startswith(EXPECTED_ERRORS)] == []
