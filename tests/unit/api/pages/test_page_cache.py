"""Pages are rendered once for all who look at the same one, and by two threads at most."""

import gzip
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest

from api.pages import page_cache
from api.pages.page_cache import AT_ONCE, FRESH_AT_MOST, PATIENT, Page, Rendering, Renderings
from api.problems import Overloaded
from tests.support.databases import wait_for

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


class Clock:
    """A clock in place of the module time; it stands still unless a test lets time pass."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def pass_by(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(page_cache, "time", clock)
    return clock


class Renderer:
    """Renders a page that says how often it was, and takes its time; how that passes, is up to sleep."""

    def __init__(self, seconds: float = 0.0, sleep: Callable[[float], object] = time.sleep) -> None:
        self.count = 0
        self.most = 0
        self._seconds = seconds
        self._sleep = sleep
        self._at_work = 0
        self._lock = threading.Lock()

    def __call__(self) -> Page:
        with self._lock:
            self.count += 1
            self._at_work += 1
            self.most = max(self.most, self._at_work)
            text = f"number {self.count}"
        self._sleep(self._seconds)
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
    monkeypatch.setattr(page_cache, "FRESH", 0.0)
    monkeypatch.setattr(page_cache, "ALONE", 0.0)
    monkeypatch.setattr(page_cache, "TOGETHER", 0.0)
    pages, render = Renderings(), Renderer()

    assert [text(pages.get("/", render)) for _ in range(2)] == ["number 1", "number 2"]


def test_a_page_is_fresh_for_the_longer_the_longer_it_takes_to_render(
    monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    monkeypatch.setattr(page_cache, "FRESH", 0.0)
    pages, render = Renderings(), Renderer(0.1, clock.pass_by)

    pages.get("/", render)
    clock.pass_by(0.9)  # less than ALONE times as long
    assert text(pages.get("/", render)) == "number 1"

    clock.pass_by(0.2)
    assert text(pages.get("/", render)) == "number 2"


def test_a_page_is_fresh_for_the_longer_the_more_are_looked_at(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> None:
    monkeypatch.setattr(page_cache, "FRESH", 0.0)
    monkeypatch.setattr(page_cache, "ALONE", 0.0)
    pages, render = Renderings(), Renderer(0.01, clock.pass_by)
    for address in range(20):
        pages.get(address, render)
    pages.get("/", render)

    clock.pass_by(0.2)  # less than it takes to render them
    assert text(pages.get("/", render)) == "number 21"

    clock.pass_by(0.02)
    assert text(pages.get("/", render)) == "number 22"


def test_a_page_that_took_long_is_not_fresh_for_minutes(clock: Clock) -> None:
    """A server that did not answer for some seconds costs these seconds, not as many for each page that is open."""
    pages, render = Renderings(), Renderer(30.0, clock.pass_by)
    pages.get("/", render)

    clock.pass_by(FRESH_AT_MOST + 0.1)

    assert text(pages.get("/", render)) == "number 2"


def test_who_has_just_changed_something_sees_it() -> None:
    pages, render = Renderings(), Renderer()
    pages.get("/", render)

    assert text(pages.get("/", render, anew=True)) == "number 2"
    assert text(pages.get("/", render)) == "number 2"


def test_two_threads_render_and_others_are_shown_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "FRESH", 0.0)
    monkeypatch.setattr(page_cache, "ALONE", 0.0)
    monkeypatch.setattr(page_cache, "TOGETHER", 0.0)
    pages, render = Renderings(), Renderer()
    for address in range(8):
        pages.get(address, render)
    monkeypatch.setattr(page_cache, "STALE", math.inf)
    monkeypatch.setattr(page_cache, "PATIENCE", 60.0)
    done = threading.Event()
    slow = Renderer(sleep=lambda _: done.wait())

    with ThreadPoolExecutor(8) as pool:
        answers = [pool.submit(pages.get, address, slow) for address in range(8)]
        try:
            wait_for(lambda: sum(answer.done() for answer in answers) == 8 - PATIENT)
        finally:
            done.set()
        assert all(answer.result() for answer in answers)

    assert (slow.most, slow.count) == (AT_ONCE, PATIENT)


def test_nobody_waits_for_a_free_thread_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "PATIENCE", 0.05)
    done = threading.Event()
    pages, render = Renderings(), Renderer(sleep=lambda _: done.wait())

    with ThreadPoolExecutor(8) as pool:
        for address in range(AT_ONCE):
            pool.submit(pages.get, address, render)
        try:
            wait_for(lambda: render.count == AT_ONCE)
            with pytest.raises(Overloaded):
                pages.get("another one", render)
        finally:
            done.set()


def test_who_waited_in_vain_is_shown_what_there_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page_cache, "PATIENCE", 0.05)
    monkeypatch.setattr(page_cache, "FRESH", 0.0)
    monkeypatch.setattr(page_cache, "ALONE", 0.0)
    monkeypatch.setattr(page_cache, "TOGETHER", 0.0)
    monkeypatch.setattr(page_cache, "STALE", math.inf)
    done = threading.Event()
    pages, slow = Renderings(), Renderer(sleep=lambda _: done.wait())
    pages.get("/", Renderer())

    with ThreadPoolExecutor(AT_ONCE) as pool:
        for address in range(AT_ONCE):
            pool.submit(pages.get, address, slow)
        try:
            wait_for(lambda: slow.count == AT_ONCE)

            assert text(pages.get("/", slow)) == "number 1"
            assert slow.count == AT_ONCE
        finally:
            done.set()


def test_an_error_is_not_kept() -> None:
    pages, render = Renderings(), Renderer()

    def fails() -> Page:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        pages.get("/", fails)
    assert text(pages.get("/", render)) == "number 1"


def test_it_keeps_the_pages_that_were_looked_at_last() -> None:
    pages, render = Renderings(), Renderer()

    for address in range(page_cache.KEPT + 1):
        pages.get(address, render)

    assert text(pages.get(1, render)) == "number 2"
    assert text(pages.get(0, render)) == f"number {page_cache.KEPT + 2}"
