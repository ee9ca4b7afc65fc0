"""Pages are rendered once for all who look at the same one, and by two threads at most."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from api.pages import renderings
from api.pages.renderings import AT_ONCE, Page, Renderings
from api.problems import Busy

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Renderer:
    """Renders a page that says how often it was, and takes its time."""

    def __init__(self, seconds: float = 0.0) -> None:
        self.count = 0
        self.most = 0
        self._seconds = seconds
        self._at_work = 0
        self._lock = threading.Lock()

    def __call__(self) -> Page:
        with self._lock:
            self.count += 1
            self._at_work += 1
            self.most = max(self.most, self._at_work)
            text = f"number {self.count}"
        time.sleep(self._seconds)
        with self._lock:
            self._at_work -= 1
        return Page(text, NOW)


def test_who_looks_at_the_same_page_gets_the_same_rendering() -> None:
    pages, render = Renderings(), Renderer(0.05)

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: pages.get("/", render).html, range(100)))

    assert set(found) == {b"number 1"}


def test_it_is_rendered_again_once_it_is_no_longer_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "FRESH", 0.0)
    monkeypatch.setattr(renderings, "SHARE", 0)
    pages, render = Renderings(), Renderer()

    assert [pages.get("/", render).html for _ in range(2)] == [b"number 1", b"number 2"]


def test_what_takes_long_to_render_is_fresh_for_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "FRESH", 0.0)
    pages, render = Renderings(), Renderer(0.1)

    pages.get("/", render)
    time.sleep(0.2)  # less than SHARE times as long

    assert pages.get("/", render).html == b"number 1"


def test_who_has_just_changed_something_sees_it() -> None:
    pages, render = Renderings(), Renderer()
    pages.get("/", render)

    assert pages.get("/", render, anew=True).html == b"number 2"
    assert pages.get("/", render).html == b"number 2"


def test_two_threads_render_and_others_are_shown_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "FRESH", 0.0)
    monkeypatch.setattr(renderings, "SHARE", 0)
    pages, render = Renderings(), Renderer()
    for address in range(8):
        pages.get(address, render)
    slow = Renderer(0.4)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda address: pages.get(address, slow).html, range(8)))

    assert slow.most == slow.count == AT_ONCE
    assert len(found) == 8


def test_nobody_waits_for_a_free_thread_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "PATIENCE", 0.05)
    pages, render = Renderings(), Renderer(0.5)

    with ThreadPoolExecutor(8) as pool:
        for address in range(AT_ONCE):
            pool.submit(pages.get, address, render)
        while render.count < AT_ONCE:
            time.sleep(0.001)
        with pytest.raises(Busy):
            pages.get("another one", render)


def test_an_error_is_not_kept() -> None:
    pages, render = Renderings(), Renderer()

    def fails() -> Page:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pages.get("/", fails)
    assert pages.get("/", render).html == b"number 1"


def test_it_keeps_the_pages_that_were_looked_at_last() -> None:
    pages, render = Renderings(), Renderer()

    for address in range(renderings.KEPT + 1):
        pages.get(address, render)

    assert pages.get(1, render).html == b"number 2"
    assert pages.get(0, render).html == f"number {renderings.KEPT + 2}".encode()
