"""Time zones: offsets from UTC, and the instants at which they shift."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.metadata import version
from typing import NamedTuple

# The operating system's data may be older, or absent: everybody uses what PyPI's tzdata says.
zoneinfo.reset_tzpath(to=())

TZDATA_VERSION = version("tzdata")

SAMPLE = timedelta(hours=6)  # no zone shifts twice within it
SECOND = timedelta(seconds=1)


class InvalidTimeZone(ValueError):
    """Not a name that schedules can use."""


class Shift(NamedTuple):
    """The instant (naive, UTC) at which a zone's offset changes."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def size(self) -> timedelta:
        """By how much the clock on the wall jumps: negative when it goes back."""
        return self.after - self.before

    @property
    def wall_before(self) -> datetime:
        """Where the clock on the wall stands when it is changed."""
        return self.at + self.before

    @property
    def wall_after(self) -> datetime:
        """To where it is changed."""
        return self.at + self.after


@lru_cache(maxsize=1024)
def zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the zone of this IANA name; raises InvalidTimeZone."""
    try:
        if "/" in name or name == "UTC":
            return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        pass
    raise InvalidTimeZone(f'time zone "{name}" is not UTC and not an IANA name with a slash')


def offset(name: str, instant: datetime) -> timedelta:
    """Return the offset from UTC at a naive UTC instant."""
    found = instant.replace(tzinfo=UTC).astimezone(zone(name)).utcoffset()
    assert found is not None
    return found


@lru_cache(maxsize=8192)
def shifts(name: str, year: int) -> tuple[Shift, ...]:
    """Return the shifts of one UTC year, in order.

    zoneinfo does not tell them, so they are searched for: a sample every six
    hours, then bisection to the second.
    """
    found = []
    start, end = datetime(year, 1, 1), datetime(year + 1, 1, 1)
    before = offset(name, start - SECOND)
    instant = start - SECOND
    while instant < end - SECOND:
        sample = min(instant + SAMPLE, end - SECOND)
        after = offset(name, sample)
        if after != before:
            found.append(Shift(_bisect(name, instant, sample), before, after))
        instant, before = sample, after
    return tuple(found)


def _bisect(name: str, early: datetime, late: datetime) -> datetime:
    """Return the first second of the offset that is in force at late but not at early."""
    old = offset(name, early)
    while late - early > SECOND:
        middle = early + (late - early) // SECOND // 2 * SECOND
        if offset(name, middle) == old:
            early = middle
        else:
            late = middle
    return late
