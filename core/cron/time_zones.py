"""Time zones: offsets from UTC, and the transitions at which they change."""

import zoneinfo
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from importlib.metadata import version
from importlib.resources import files
from typing import NamedTuple

# The operating system's data may be older, or absent: all processes use those of the tzdata package.
zoneinfo.reset_tzpath(to=())

TZDATA_VERSION = version("tzdata")
# The list of the package: zoneinfo would import any text with slashes as a package.
NAMES = frozenset((files("tzdata") / "zones").read_text("ascii").split())

SAMPLE = timedelta(days=6)  # since 1970, the two closest transitions of a zone are a week apart
SECOND = timedelta(seconds=1)
MAX_MONTH = timedelta(days=31)


class InvalidTimeZone(ValueError):
    """A name that is no time zone of schedules."""


class Transition(NamedTuple):
    """The instant (naive, UTC) at which a zone's offset changes."""

    at: datetime
    before: timedelta
    after: timedelta

    @property
    def size(self) -> timedelta:
        """The difference of the offsets: negative when the clock is set back."""
        return self.after - self.before

    @property
    def wall_before(self) -> datetime:
        """Local time before the transition, at its instant."""
        return self.at + self.before

    @property
    def wall_after(self) -> datetime:
        """Local time after the transition, at its instant."""
        return self.at + self.after


@lru_cache(maxsize=1024)
def zone(name: str) -> zoneinfo.ZoneInfo:
    """Return the time zone of an IANA name; raises InvalidTimeZone."""
    if name in NAMES and ("/" in name or name == "UTC"):
        return zoneinfo.ZoneInfo(name)
    raise InvalidTimeZone(f'time zone "{name}" is not UTC and not an IANA name with a slash')


def offset(name: str, instant: datetime) -> timedelta:
    """Return the offset from UTC at a naive UTC instant."""
    utc_offset = instant.replace(tzinfo=UTC).astimezone(zone(name)).utcoffset()
    assert utc_offset is not None
    return utc_offset


def first_transition(name: str, after: datetime, until: datetime) -> Transition | None:
    """Return the first transition in (after, until], both naive UTC."""
    month = _month(after)
    while month <= until:
        for transition in _transitions(name, month):
            if after < transition.at <= until:
                return transition
        month = _month(month + MAX_MONTH)
    return None


def last_transition(name: str, after: datetime, until: datetime) -> Transition | None:
    """Return the last transition in (after, until], both naive UTC."""
    month = _month(until)
    while month > after - MAX_MONTH:
        for transition in reversed(_transitions(name, month)):
            if after < transition.at <= until:
                return transition
        month = _month(month - SECOND)
    return None


def _month(instant: datetime) -> datetime:
    """Return the start of the month of an instant."""
    return datetime(instant.year, instant.month, 1)


@lru_cache(maxsize=16384)
def _transitions(name: str, month: datetime) -> tuple[Transition, ...]:
    """Return the transitions of one month, in order.

    zoneinfo does not list them, so they are searched for: a sample every few days, then bisection to the second.
    """
    transitions = []
    instant, end = month - SECOND, _month(month + MAX_MONTH) - SECOND
    before = offset(name, instant)
    while instant < end:
        sample = min(instant + SAMPLE, end)
        after = offset(name, sample)
        if after != before:
            transitions.append(Transition(_bisect(name, instant, sample), before, after))
        instant, before = sample, after
    return tuple(transitions)


def _bisect(name: str, early: datetime, late: datetime) -> datetime:
    """Return the first second of the offset that holds at late and not at early."""
    old = offset(name, early)
    while late - early > SECOND:
        middle = early + (late - early) // SECOND // 2 * SECOND
        if offset(name, middle) == old:
            early = middle
        else:
            late = middle
    return late
