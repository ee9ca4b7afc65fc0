"""Pages as they were rendered last, for all who look at the same one.

Open pages ask for themselves every second. What they get was rendered once for all of them, and no more often than
keeps one in ten seconds of a thread busy; at most two threads render, so that any number of pages leaves the others
to the rest of the API.
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

from api.problems import Busy

FRESH = 0.5  # seconds
SHARE = 10  # times as long as it took to render it, a page is fresh, too
AT_ONCE = 2  # threads that render
STALE = 5.0  # seconds after which nobody is shown a page, even where no thread is free to render it
PATIENCE = 2.0  # seconds for one to be free
LITTLE_PATIENCE = 0.1  # seconds, where there is a page of a moment ago
FASTEST = 1  # gzip's level
KEPT = 64  # pages; each has some 50 kB


class Page(NamedTuple):
    """What there is to show, and the time by the system's clock when it was so."""

    html: str
    now: datetime


@dataclass
class Rendering:
    """A page, and for how long it is fresh."""

    html: bytes
    compressed: bytes  # by gzip
    etag: str
    now: datetime
    began_at: float  # by time.monotonic(), as the next ones
    made_at: float
    fresh_until: float

    def schedule_now(self) -> datetime:
        """Return the system's time at this moment."""
        return self.now + timedelta(seconds=time.monotonic() - self.made_at)


@dataclass
class _Place:
    """Where one page is kept; whoever has its lock renders it."""

    lock: threading.Semaphore = field(default_factory=threading.Semaphore)
    latest: Rendering | None = None


class Renderings:
    """The pages that people look at."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places: OrderedDict[Hashable, _Place] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)

    def get(self, address: Hashable, render: Callable[[], Page], *, anew: bool = False) -> Rendering:
        """Return a page as it was a moment ago, or is now. Raises what render() raises, and Busy.

        anew: what was rendered before this call does not do.
        """
        asked_at = time.monotonic()
        place = self._place(address)
        old = None if anew else place.latest
        if old and asked_at < old.fresh_until:
            return old
        if old and asked_at > old.made_at + STALE:
            old = None
        patience = LITTLE_PATIENCE if old else PATIENCE
        with _taken(place.lock, patience) as mine:  # others who want the same page wait for it
            latest = place.latest
            if latest and (latest.began_at > asked_at or (asked_at < latest.fresh_until and not anew)):
                return latest
            with _taken(self._turns, patience if mine else 0) as may_render:
                if mine and may_render:
                    place.latest = _rendered(render)
                    return place.latest
        if old is None:
            raise Busy("too many pages are asked for at this moment; try again", headers={"Retry-After": "1"})
        return old

    def _place(self, address: Hashable) -> _Place:
        with self._lock:
            place = self._places.setdefault(address, _Place())
            self._places.move_to_end(address)
            if len(self._places) > KEPT:
                self._places.popitem(last=False)
            return place


@contextmanager
def _taken(lock: threading.Semaphore, patience: float) -> Iterator[bool]:
    """Take a lock if it is free in time; whether it was."""
    taken = lock.acquire(timeout=patience)
    try:
        yield taken
    finally:
        if taken:
            lock.release()


def _rendered(render: Callable[[], Page]) -> Rendering:
    began = time.monotonic()
    page = render()
    html = page.html.encode()
    compressed = gzip.compress(html, FASTEST)
    ended = time.monotonic()
    etag = hashlib.blake2b(html, digest_size=12).hexdigest()
    fresh_until = ended + max(FRESH, SHARE * (ended - began))
    return Rendering(html, compressed, etag, page.now, began, ended, fresh_until)
