"""Time zones: offsets from UTC, and the instants at which they shift."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import NamedTuple

# The operating system's data may be older, or absent: everybody uses what PyPI's tzdata says.
zoneinfo.reset_tzpath(to=())

TZDATA_VERSION = version("tzdata")
# Its own list: zoneinfo would import any text with slashes as a package.
NAMES = frozenset((files("tzdata") / "zones").read_text("ascii").split())

SAMPLE = timedelta(days=3)  # no zone has shifted twice within it since 1970: the closest two shifts lie a week apart
SECOND = timedelta(seconds=1)
LONGEST_MONTH = timedelta(days=31)


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
    if name in NAMES and ("/" in name or name == "UTC"):
        return zoneinfo.ZoneInfo(name)
    raise InvalidTimeZone(f'time zone "{name}" is not UTC and not an IANA name with a slash')


def offset(name: str, instant: datetime) -> timedelta:
    """Return the offset from UTC at a naive UTC instant."""
    found = instant.replace(tzinfo=UTC).astimezone(zone(name)).utcoffset()
    assert found is not None
    return found


def first_shift(name: str, after: datetime, until: datetime) -> Shift | None:
    """Return the first shift in (after, until], both naive UTC."""
    month = _month(after)
    while month <= until:
        for shift in _shifts(name, month):
            if after < shift.at <= until:
                return shift
        month = _month(month + LONGEST_MONTH)
    return None


def last_shift(name: str, after: datetime, until: datetime) -> Shift | None:
    """Return the last shift in (after, until], both naive UTC."""
    month = _month(until)
    while month > after - LONGEST_MONTH:
        for shift in reversed(_shifts(name, month)):
            if after < shift.at <= until:
                return shift
        month = _month(month - SECOND)
    return None


def _month(instant: datetime) -> datetime:
    """Return the start of an instant's month."""
    return datetime(instant.year, instant.month, 1)


@lru_cache(maxsize=16384)
def _shifts(name: str, month: datetime) -> tuple[Shift, ...]:
    """Return the shifts of one month, in order.

    zoneinfo does not tell them, so they are searched for: a sample every few days,
    then bisection to the second.
    """
    found = []
    instant, end = month - SECOND, _month(month + LONGEST_MONTH) - SECOND
    before = offset(name, instant)
    while instant < end:
        sample = min(instant + SAMPLE, end)
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
