"""Cache of rendered pages, shared by all clients of the same page.

An open page requests itself every second. It is rendered once for all its clients, and so rarely that one page occupies
at most a tenth of a thread, and all pages together at most one. Few threads render or wait for a rendering, so that any
number of open pages leaves the other threads to the rest of the API.
"""

import gzip
import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import NamedTuple

from api.problems import Overloaded

MIN_TTL_FACTOR = 10.0  # times the render time of the page
GLOBAL_TTL_FACTOR = 1.0  # times the render time of all active pages
ACTIVE_TIME = 5.0  # seconds since its last request for which a page is active
MAX_RENDERING_THREADS = 2
MAX_WAITING_THREADS = 4  # threads that render, or wait for one that does
SHORT_WAIT_TIMEOUT = 0.1  # seconds, of other threads that have no stale page to serve
MAX_ENTRIES = 256  # each has some 10 kB
GZIP_LEVEL = 1  # the fastest


@dataclass(frozen=True)
class CacheLimits:
    """Limits on the age of pages, and on the time to wait for one."""

    min_ttl: float = 0.5  # seconds
    max_ttl: float = 10.0  # seconds: a slow rendering may have waited for a backend that is fast again
    max_stale_age: float = 5.0  # seconds; an older page is not served, even if no thread is free to render it
    wait_timeout: float = 2.0  # seconds, of threads that render, or wait for one that does


DEFAULT_LIMITS = CacheLimits()


class RenderedPage(NamedTuple):
    """Text of a page, and the system's time for which it is valid."""

    text: str
    now: datetime


@dataclass
class CachedPage:
    """A compressed page and its lifetime."""

    compressed: bytes  # by gzip
    etag: str
    now: datetime
    started_at: float  # start of the rendering by time.monotonic(), as the next ones
    rendered_at: float
    fresh_until: float

    def schedule_now(self) -> datetime:
        """Return the current time by the system's clock."""
        return self.now + timedelta(seconds=time.monotonic() - self.rendered_at)


@dataclass
class _Entry:
    """Cache entry; the thread that holds its lock renders the page."""

    requested_at: float
    lock: threading.Semaphore = field(default_factory=threading.Semaphore)
    page: CachedPage | None = None


class PageCache:
    """The pages that were requested last."""

    def __init__(self, limits: CacheLimits = DEFAULT_LIMITS, clock: Callable[[], float] = time.monotonic) -> None:
        self._limits = limits
        self._clock = clock
        self._entries: OrderedDict[Hashable, _Entry] = OrderedDict()
        self._lock = threading.Lock()
        self._rendering = threading.BoundedSemaphore(MAX_RENDERING_THREADS)
        self._waiting = threading.BoundedSemaphore(MAX_WAITING_THREADS)

    def get(self, key: Hashable, render: Callable[[], RenderedPage], *, force: bool = False) -> CachedPage:
        """Return a fresh page, or a stale one if no thread is free. Raises what render() raises, and Overloaded.

        force: ignore pages whose rendering started before this call.
        """
        requested_at = self._clock()
        entry = self._entry(key, requested_at)
        cached = None if force else entry.page
        if cached and requested_at < cached.fresh_until:
            return cached
        if cached and requested_at > cached.rendered_at + self._limits.max_stale_age:
            cached = None
        with _acquire(self._waiting, 0 if cached else SHORT_WAIT_TIMEOUT) as may_wait:
            page = (self._refresh(entry, render, requested_at, force=force) if may_wait else None) or cached
        if page is None:
            raise Overloaded("too many pages are asked for at this moment; try again", headers={"Retry-After": "1"})
        return page

    def _refresh(
        self, entry: _Entry, render: Callable[[], RenderedPage], requested_at: float, *, force: bool
    ) -> CachedPage | None:
        """Return what another thread has rendered meanwhile, or render it; None after the timeout."""
        timeout = self._limits.wait_timeout
        with _acquire(entry.lock, timeout) as has_lock:
            page = entry.page
            if page and (page.started_at > requested_at or (requested_at < page.fresh_until and not force)):
                return page
            with _acquire(self._rendering, timeout if has_lock else 0) as may_render:
                if not (has_lock and may_render):
                    return None
                entry.page = self._render(render)
                return entry.page

    def _entry(self, key: Hashable, requested_at: float) -> _Entry:
        with self._lock:
            entry = self._entries.get(key)
            if entry is None:
                entry = self._entries[key] = _Entry(requested_at)
            entry.requested_at = requested_at
            self._entries.move_to_end(key)
            if len(self._entries) > MAX_ENTRIES:
                self._entries.popitem(last=False)
            return entry

    def _render(self, render: Callable[[], RenderedPage]) -> CachedPage:
        started_at = self._clock()
        page = render()
        text = page.text.encode(errors="replace")  # a label may be half of a surrogate pair, as JSON has them
        compressed = gzip.compress(text, GZIP_LEVEL)
        rendered_at = self._clock()
        with self._lock:
            active = sum(entry.requested_at > rendered_at - ACTIVE_TIME for entry in self._entries.values())
        ttl = max(MIN_TTL_FACTOR, GLOBAL_TTL_FACTOR * active) * (rendered_at - started_at)
        fresh_until = rendered_at + min(self._limits.max_ttl, max(self._limits.min_ttl, ttl))
        etag = hashlib.blake2b(text, digest_size=12).hexdigest()
        return CachedPage(compressed, etag, page.now, started_at, rendered_at, fresh_until)


@contextmanager
def _acquire(semaphore: threading.Semaphore, timeout: float) -> Iterator[bool]:
    """Hold a semaphore if it is free in time; yields False otherwise."""
    acquired = semaphore.acquire(timeout=timeout)
    try:
        yield acquired
    finally:
        if acquired:
            semaphore.release()
