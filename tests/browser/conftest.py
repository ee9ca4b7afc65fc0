"""A real browser before a real stack, by make test-browser. Without a Chromium here, the tests skip and say so."""

import os
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress

import pytest
from playwright.sync_api import Browser, Page

from devstack import redis as local_redis
from tests.browser import chromium as installed
from tests.support.databases import Databases
from tests.support.service_stack import Stack, running_stack

PATIENCE = 5000  # milliseconds, for whatever a test waits for

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    if not os.environ.get("BROWSER_TESTS"):
        pytest.skip("make test-browser runs it: it needs Chromium, and takes a minute")
    if installed.path() is None:
        names = ", ".join(installed.NAMES)
        pytest.skip(f"no browser here: none of {names} is on the PATH (Debian: apt install chromium)")
    with installed.running() as browser:
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
def _quiet(stack: Stack) -> None:
    stack.reset()


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
            if url.startswith("http:"):
                render_anew(url)
            page.goto(url)
            return page

        yield opened
    # What the server refuses, or does not answer, the browser notes as an error of its own; the pages show it.
    assert [text for text in complaints if not text.startswith("Failed to load resource")] == []


def render_anew(url: str) -> None:
    """Have the server render a page: the one that it keeps may show the schedules of the test before."""
    request = urllib.request.Request(url, headers={"Accept": "text/html", "Cache-Control": "no-cache"})
    with suppress(urllib.error.HTTPError):
        urllib.request.urlopen(request, timeout=10).close()
