"""Pages are rendered once for all clients of the same page, by few threads at a time."""

import gzip
import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from api.pages.page_cache import (
    DEFAULT_LIMITS,
    MAX_ENTRIES,
    MAX_RENDERING_THREADS,
    MAX_WAITING_THREADS,
    CachedPage,
    CacheLimits,
    PageCache,
    RenderedPage,
)
from api.problems import Overloaded
from tests.support.databases import wait_for

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)


NO_TTL = CacheLimits(max_ttl=0.0)


class Clock:
    """A monotonic clock that stands still unless a test advances it."""

    def __init__(self) -> None:
        self._now = 1000.0

    def __call__(self) -> float:
        return self._now

    def advance(self, seconds: float) -> None:
        self._now += seconds


@pytest.fixture
def clock() -> Clock:
    return Clock()


class Renderer:
    """Renders a page with the number of renderings so far; sleep() determines how the render time passes."""

    def __init__(self, render_time: float = 0.0, sleep: Callable[[float], object] = time.sleep) -> None:
        self.count = 0
        self.max_concurrent = 0
        self._render_time = render_time
        self._sleep = sleep
        self._concurrent = 0
        self._lock = threading.Lock()

    def __call__(self) -> RenderedPage:
        with self._lock:
            self.count += 1
            self._concurrent += 1
            self.max_concurrent = max(self.max_concurrent, self._concurrent)
            text = f"number {self.count}"
        self._sleep(self._render_time)
        with self._lock:
            self._concurrent -= 1
        return RenderedPage(text, NOW)


def text_of(page: CachedPage) -> str:
    return gzip.decompress(page.compressed).decode()


def test_concurrent_clients_share_one_rendering() -> None:
    cache, render = PageCache(), Renderer(0.05)

    with ThreadPoolExecutor(20) as pool:
        texts = list(pool.map(lambda _: text_of(cache.get("/", render)), range(100)))

    assert set(texts) == {"number 1"}


def test_page_is_rendered_again_after_its_ttl() -> None:
    cache, render = PageCache(NO_TTL), Renderer()

    assert [text_of(cache.get("/", render)) for _ in range(2)] == ["number 1", "number 2"]


def test_ttl_grows_with_render_time(clock: Clock) -> None:
    cache, render = PageCache(clock=clock), Renderer(0.1, clock.advance)

    cache.get("/", render)
    clock.advance(0.9)  # less than MIN_TTL_FACTOR times the render time
    assert text_of(cache.get("/", render)) == "number 1"

    clock.advance(0.2)
    assert text_of(cache.get("/", render)) == "number 2"


def test_ttl_grows_with_number_of_active_pages(clock: Clock) -> None:
    cache, render = PageCache(clock=clock), Renderer(0.1, clock.advance)
    for key in range(20):
        cache.get(key, render)
    cache.get("/", render)

    clock.advance(2.0)  # less than the render time of all pages
    assert text_of(cache.get("/", render)) == "number 21"

    clock.advance(0.2)
    assert text_of(cache.get("/", render)) == "number 22"


def test_ttl_of_slow_page_is_limited(clock: Clock) -> None:
    """A backend without a reply for some seconds delays pages by these seconds, not by as many for each open page."""
    cache, render = PageCache(clock=clock), Renderer(30.0, clock.advance)
    cache.get("/", render)

    clock.advance(DEFAULT_LIMITS.max_ttl + 0.1)

    assert text_of(cache.get("/", render)) == "number 2"


def test_force_renders_fresh_page_again() -> None:
    cache, render = PageCache(), Renderer()
    cache.get("/", render)

    assert text_of(cache.get("/", render, force=True)) == "number 2"
    assert text_of(cache.get("/", render)) == "number 2"


def test_further_threads_return_stale_pages() -> None:
    cache = PageCache(replace(NO_TTL, max_stale_age=math.inf, wait_timeout=60.0))
    render = Renderer()
    for key in range(8):
        cache.get(key, render)
    done = threading.Event()
    slow = Renderer(sleep=lambda _: done.wait())

    with ThreadPoolExecutor(8) as pool:
        futures = [pool.submit(cache.get, key, slow) for key in range(8)]
        try:
            wait_for(lambda: sum(future.done() for future in futures) == 8 - MAX_WAITING_THREADS)
        finally:
            done.set()
        assert all(future.result() for future in futures)

    assert (slow.max_concurrent, slow.count) == (MAX_RENDERING_THREADS, MAX_WAITING_THREADS)


def test_waiting_for_a_thread_times_out() -> None:
    done = threading.Event()
    cache, render = PageCache(CacheLimits(wait_timeout=0.05)), Renderer(sleep=lambda _: done.wait())

    with ThreadPoolExecutor(8) as pool:
        for key in range(MAX_RENDERING_THREADS):
            pool.submit(cache.get, key, render)
        try:
            wait_for(lambda: render.count == MAX_RENDERING_THREADS)
            with pytest.raises(Overloaded):
                cache.get("another one", render)
        finally:
            done.set()


def test_stale_page_is_returned_after_wait_timeout() -> None:
    done = threading.Event()
    cache = PageCache(replace(NO_TTL, max_stale_age=math.inf, wait_timeout=0.05))
    slow = Renderer(sleep=lambda _: done.wait())
    cache.get("/", Renderer())

    with ThreadPoolExecutor(MAX_RENDERING_THREADS) as pool:
        for key in range(MAX_RENDERING_THREADS):
            pool.submit(cache.get, key, slow)
        try:
            wait_for(lambda: slow.count == MAX_RENDERING_THREADS)

            assert text_of(cache.get("/", slow)) == "number 1"
            assert slow.count == MAX_RENDERING_THREADS
        finally:
            done.set()


def test_exception_is_not_cached() -> None:
    cache, render = PageCache(), Renderer()

    def fail() -> RenderedPage:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        cache.get("/", fail)
    assert text_of(cache.get("/", render)) == "number 1"


def test_least_recently_requested_page_is_evicted() -> None:
    cache, render = PageCache(), Renderer()

    for key in range(MAX_ENTRIES + 1):
        cache.get(key, render)

    assert text_of(cache.get(1, render)) == "number 2"
    assert text_of(cache.get(0, render)) == f"number {MAX_ENTRIES + 2}"
