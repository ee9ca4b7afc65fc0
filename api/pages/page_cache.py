"""Pages as they were rendered last, for all who look at the same one.

Open pages ask for themselves every second. What they get was rendered once for all who look at it, and no more often
than keeps a tenth of a thread busy, or one thread for all pages. Few threads render or wait for that, so that any
number of pages leaves the others to the rest of the API.
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

FRESH = 0.5  # seconds, for which a page is not rendered again
ALONE = 10.0  # or so many times as long as it takes to render it
TOGETHER = 1.0  # or so many times as long as it would take to render all that are looked at
FRESH_AT_MOST = 10.0  # seconds, but no longer: this one may have waited for a server that is quick again
STALE = 5.0  # seconds after which nobody is shown a page, even where no thread is free to render it
LOOKED_AT = 5.0  # seconds since the last question, for which somebody still looks at it
AT_ONCE = 2  # threads that render
PATIENT = 4  # threads that render, or wait for a thread that does
PATIENCE = 2.0  # seconds for which they wait
LITTLE_PATIENCE = 0.1  # seconds, of a thread that is not one of them and has nothing to show
KEPT = 256  # pages; each has some 10 kB
FASTEST = 1  # gzip's level


class Page(NamedTuple):
    """What there is to show, and the time by the system's clock when it was so."""

    text: str
    now: datetime


@dataclass
class Rendering:
    """A page, and for how long it is fresh."""

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

    asked_at: float
    lock: threading.Semaphore = field(default_factory=threading.Semaphore)
    latest: Rendering | None = None


class Renderings:
    """The pages that people look at."""

    def __init__(self) -> None:
        """Begin with none."""
        self._places: OrderedDict[Hashable, _Place] = OrderedDict()
        self._lock = threading.Lock()
        self._turns = threading.BoundedSemaphore(AT_ONCE)
        self._patient = threading.BoundedSemaphore(PATIENT)

    def get(self, address: Hashable, render: Callable[[], Page], *, anew: bool = False) -> Rendering:
        """Return a page as it was a moment ago, or is now. Raises what render() raises, and Overloaded.

        anew: what was rendered before this call does not do.
        """
        asked_at = time.monotonic()
        place = self._place(address, asked_at)
        old = None if anew else place.latest
        if old and asked_at < old.fresh_until:
            return old
        if old and asked_at > old.made_at + STALE:
            old = None
        with _taken(self._patient, 0 if old else LITTLE_PATIENCE) as may_wait:
            found = (self._new(place, render, asked_at, anew=anew) if may_wait else None) or old
        if found is None:
            raise Overloaded("too many pages are asked for at this moment; try again", headers={"Retry-After": "1"})
        return found

    def _new(self, place: _Place, render: Callable[[], Page], asked_at: float, *, anew: bool) -> Rendering | None:
        """Return what somebody else rendered meanwhile, or render it; None if it takes too long."""
        with _taken(place.lock, PATIENCE) as mine:
            latest = place.latest
            if latest and (latest.began_at > asked_at or (asked_at < latest.fresh_until and not anew)):
                return latest
            with _taken(self._turns, PATIENCE if mine else 0) as may_render:
                if not (mine and may_render):
                    return None
                place.latest = self._rendered(render)
                return place.latest

    def _place(self, address: Hashable, asked_at: float) -> _Place:
        with self._lock:
            place = self._places.get(address)
            if place is None:
                place = self._places[address] = _Place(asked_at)
            place.asked_at = asked_at
            self._places.move_to_end(address)
            if len(self._places) > KEPT:
                self._places.popitem(last=False)
            return place

    def _rendered(self, render: Callable[[], Page]) -> Rendering:
        began = time.monotonic()
        page = render()
        text = page.text.encode(errors="replace")  # a label may be half of a surrogate pair, as JSON has them
        compressed = gzip.compress(text, FASTEST)
        ended = time.monotonic()
        with self._lock:
            looked_at = sum(place.asked_at > ended - LOOKED_AT for place in self._places.values())
        long_enough = max(FRESH, max(ALONE, TOGETHER * looked_at) * (ended - began))
        fresh_until = ended + min(FRESH_AT_MOST, long_enough)
        etag = hashlib.blake2b(text, digest_size=12).hexdigest()
        return Rendering(compressed, etag, page.now, began, ended, fresh_until)


@contextmanager
def _taken(lock: threading.Semaphore, patience: float) -> Iterator[bool]:
    """Take a lock if it is free in time; whether it was."""
    taken = lock.acquire(timeout=patience)
    try:
        yield taken
    finally:
        if taken:
            lock.release()
