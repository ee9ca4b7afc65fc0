"""When a cron expression fires: wall-clock times of a zone, as instants in UTC.

croniter walks the wall clock, always with naive times. What daylight saving makes of
them is decided here, shift by shift: between two shifts the offset is constant.
"""

import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from croniter import croniter

from scheduler.dialect import Cron, InvalidCron, parse
from scheduler.zones import SECOND, InvalidTimeZone, Shift, offset, shifts

__all__ = ["InvalidCron", "InvalidTimeZone", "count_fires", "last_fire", "next_fire"]

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LARGE_SHIFT = timedelta(hours=3)  # from here on, it is just a new clock: nothing is made up


def next_fire(expression: str, timezone: str, after: datetime) -> datetime:
    """Return the first fire strictly after an aware instant, in UTC.

    expression is in its normal form (lower case, single blanks). Raises
    InvalidCron and InvalidTimeZone.
    """
    cron, instant = parse(expression), _naive_utc(after)
    elapsed = offset(timezone, instant)
    candidate = _after(expression, _skip_repeated(cron, timezone, instant, instant + elapsed))
    while shift := _first_shift(timezone, instant, candidate - elapsed):
        instant, elapsed = shift.at, shift.after
        if _makes_up(cron, shift):
            if candidate < shift.wall_after:
                candidate = _ceil_minute(shift.wall_after)
        elif not _repeats(cron, shift):
            candidate = _at_or_after(expression, shift.wall_after)
    return _aware_utc(candidate - elapsed)


def last_fire(expression: str, timezone: str, until: datetime) -> datetime:
    """Return the latest fire at or before an aware instant, in UTC.

    Raises as next_fire does.
    """
    cron, instant = parse(expression), _naive_utc(until)
    elapsed = offset(timezone, instant)
    candidate = _at_or_before(expression, instant + elapsed)
    while shift := _last_shift(timezone, candidate - elapsed - LARGE_SHIFT, instant):
        if candidate >= (shift.wall_before if _repeats(cron, shift) else shift.wall_after):
            break
        if _makes_up(cron, shift) and _at_or_before(expression, shift.wall_after - MINUTE) >= shift.wall_before:
            candidate = _ceil_minute(shift.wall_after)
            break
        instant, elapsed = shift.at - SECOND, shift.before
        candidate = _at_or_before(expression, shift.wall_before - MINUTE)
    return _aware_utc(candidate - elapsed)


def count_fires(expression: str, timezone: str, after: datetime, until: datetime) -> int:
    """Return how many fires lie in (after, until], without walking from one to the next.

    Raises as next_fire does.
    """
    cron, instant, end = parse(expression), _naive_utc(after), _naive_utc(until)
    elapsed = offset(timezone, instant)
    wall = _skip_repeated(cron, timezone, instant, instant + elapsed)
    total = 0
    while shift := _first_shift(timezone, instant, end):
        total += _count_walls(cron, wall, shift.wall_before - MINUTE)
        instant, elapsed, wall = shift.at, shift.after, shift.wall_after - MINUTE
        if _repeats(cron, shift):
            wall = shift.wall_before - MINUTE
        elif _makes_up(cron, shift) and not _count_walls(cron, wall, shift.wall_after):
            total += min(1, _count_walls(cron, shift.wall_before - MINUTE, wall))
    return total + _count_walls(cron, wall, end + elapsed)


def _makes_up(cron: Cron, shift: Shift) -> bool:
    """Whether what the shift leaves out is fired, once, right after it."""
    return not cron.wildcard and timedelta(0) < shift.size < LARGE_SHIFT


def _repeats(cron: Cron, shift: Shift) -> bool:
    """Whether the hour that the shift brings again has been fired already."""
    return not cron.wildcard and -LARGE_SHIFT < shift.size < timedelta(0)


def _skip_repeated(cron: Cron, timezone: str, instant: datetime, wall: datetime) -> datetime:
    """Return the wall time of an instant, or where the hour ends that is there for the second time."""
    shift = _last_shift(timezone, instant - LARGE_SHIFT, instant)
    if shift is not None and _repeats(cron, shift):
        return max(wall, shift.wall_before - MINUTE)
    return wall


def _first_shift(timezone: str, after: datetime, until: datetime) -> Shift | None:
    for year in range(after.year, until.year + 1):
        for shift in shifts(timezone, year):
            if after < shift.at <= until:
                return shift
    return None


def _last_shift(timezone: str, after: datetime, until: datetime) -> Shift | None:
    for year in range(until.year, after.year - 1, -1):
        for shift in reversed(shifts(timezone, year)):
            if after < shift.at <= until:
                return shift
    return None


def _after(expression: str, wall: datetime) -> datetime:
    """Return the first wall time that matches, strictly after this one."""
    found: datetime = _croniter(expression).get_next(datetime, start_time=wall)
    return found


def _at_or_after(expression: str, wall: datetime) -> datetime:
    return _after(expression, _ceil_minute(wall) - MINUTE)


def _at_or_before(expression: str, wall: datetime) -> datetime:
    found: datetime = _croniter(expression).get_prev(datetime, start_time=_floor_minute(wall) + MINUTE)
    return found


def _croniter(expression: str) -> croniter:
    # A croniter carries its position with it, which threads must not share; its tables they may.
    return copy.copy(_parsed_croniter(expression))


@lru_cache(maxsize=65536)
def _parsed_croniter(expression: str) -> croniter:
    """Return croniter's walker over our reading of the fields: it has ideas of its own about some texts."""
    cron = parse(expression)
    days, weekdays = _field(cron.days_of_month, 31), _field(cron.days_of_week, 7)
    if not cron.both_days and "*" in (days, weekdays):
        days = weekdays = "*"  # either may match, and one always does
    text = " ".join((_field(cron.minutes, 60), _field(cron.hours, 24), days, _field(cron.months, 12), weekdays))
    return croniter(text, datetime(1970, 1, 1), day_or=not cron.both_days)


def _field(values: frozenset[int], size: int) -> str:
    return "*" if len(values) == size else ",".join(map(str, sorted(values)))


def _count_walls(cron: Cron, after: datetime, until: datetime) -> int:
    """Count the wall times in (after, until] that match, as if there were no shifts; 0 if it is empty."""
    if until <= after:
        return 0
    per_day = len(cron.hours) * len(cron.minutes)
    between = range((until.date() - after.date()).days)
    days = sum(_is_day(cron, after + day * DAY) for day in between)
    return days * per_day + _count_to(cron, until) - _count_to(cron, after)


def _count_to(cron: Cron, wall: datetime) -> int:
    """Count the matches of wall's own day, from midnight up to and including wall."""
    if not _is_day(cron, wall):
        return 0
    full_hours = sum(hour < wall.hour for hour in cron.hours)
    minutes = sum(minute <= wall.minute for minute in cron.minutes) if wall.hour in cron.hours else 0
    return full_hours * len(cron.minutes) + minutes


def _is_day(cron: Cron, wall: datetime) -> bool:
    day, weekday = wall.day in cron.days_of_month, wall.isoweekday() % 7 in cron.days_of_week
    return wall.month in cron.months and ((day and weekday) if cron.both_days else (day or weekday))


def _floor_minute(instant: datetime) -> datetime:
    return instant.replace(second=0, microsecond=0)


def _ceil_minute(instant: datetime) -> datetime:
    return -((datetime.min - instant) // MINUTE) * MINUTE + datetime.min


def _naive_utc(instant: datetime) -> datetime:
    assert instant.tzinfo is not None, "an aware datetime, please"
    return instant.astimezone(UTC).replace(tzinfo=None)


def _aware_utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC)
