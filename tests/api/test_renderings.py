"""Pages are rendered once for all who look at the same one, and by two threads at most."""

import gzip
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from api.pages import renderings
from api.pages.renderings import AT_ONCE, PATIENT, Page, Rendering, Renderings
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


def text(rendering: Rendering) -> str:
    return gzip.decompress(rendering.compressed).decode()


def test_who_looks_at_the_same_page_gets_the_same_rendering() -> None:
    pages, render = Renderings(), Renderer(0.05)

    with ThreadPoolExecutor(20) as pool:
        found = list(pool.map(lambda _: text(pages.get("/", render)), range(100)))

    assert set(found) == {"number 1"}


def test_it_is_rendered_again_once_it_is_no_longer_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "FRESH", 0.0)
    monkeypatch.setattr(renderings, "ALONE", 0.0)
    monkeypatch.setattr(renderings, "TOGETHER", 0.0)
    pages, render = Renderings(), Renderer()

    assert [text(pages.get("/", render)) for _ in range(2)] == ["number 1", "number 2"]


def test_a_page_is_fresh_for_the_longer_the_longer_it_takes_to_render(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "FRESH", 0.0)
    pages, render = Renderings(), Renderer(0.1)

    pages.get("/", render)
    time.sleep(0.3)  # less than ALONE times as long

    assert text(pages.get("/", render)) == "number 1"


def test_a_page_is_fresh_for_the_longer_the_more_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "FRESH", 0.0)
    monkeypatch.setattr(renderings, "ALONE", 0.0)
    pages, render = Renderings(), Renderer(0.01)
    for address in range(20):
        pages.get(address, render)
    pages.get("/", render)
    time.sleep(0.1)  # less than it takes to render them

    assert text(pages.get("/", render)) == "number 21"


def test_a_page_that_took_long_is_not_fresh_for_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that did not answer for some seconds costs these seconds, not as many for each page that is open."""
    monkeypatch.setattr(renderings, "FRESH_AT_MOST", 0.1)
    pages, render = Renderings(), Renderer(0.3)
    pages.get("/", render)
    time.sleep(0.15)

    assert text(pages.get("/", render)) == "number 2"


def test_who_has_just_changed_something_sees_it() -> None:
    pages, render = Renderings(), Renderer()
    pages.get("/", render)

    assert text(pages.get("/", render, anew=True)) == "number 2"
    assert text(pages.get("/", render)) == "number 2"


def test_two_threads_render_and_others_are_shown_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "FRESH", 0.0)
    monkeypatch.setattr(renderings, "ALONE", 0.0)
    monkeypatch.setattr(renderings, "TOGETHER", 0.0)
    pages, render = Renderings(), Renderer()
    for address in range(8):
        pages.get(address, render)
    slow = Renderer(0.4)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda address: text(pages.get(address, slow)), range(8)))

    assert (slow.most, slow.count) == (AT_ONCE, PATIENT)
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


def test_who_waited_in_vain_is_shown_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renderings, "PATIENCE", 0.05)
    monkeypatch.setattr(renderings, "FRESH", 0.0)
    monkeypatch.setattr(renderings, "ALONE", 0.0)
    monkeypatch.setattr(renderings, "TOGETHER", 0.0)
    pages, slow = Renderings(), Renderer(0.5)
    pages.get("/", Renderer())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for address in range(AT_ONCE):
            pool.submit(pages.get, address, slow)
        while slow.count < AT_ONCE:
            time.sleep(0.001)

        assert text(pages.get("/", slow)) == "number 1"
        assert slow.count == AT_ONCE


def test_an_error_is_not_kept() -> None:
    pages, render = Renderings(), Renderer()

    def fails() -> Page:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pages.get("/", fails)
    assert text(pages.get("/", render)) == "number 1"


def test_it_keeps_the_pages_that_were_looked_at_last() -> None:
    pages, render = Renderings(), Renderer()

    for address in range(renderings.KEPT + 1):
        pages.get(address, render)

    assert text(pages.get(1, render)) == "number 2"
    assert text(pages.get(0, render)) == f"number {renderings.KEPT + 2}"
