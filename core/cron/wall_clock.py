"""Cron matching on local time, ignoring transitions: the naive times that match an expression.

croniter finds the days; within a day, hours and minutes follow from the fields.
"""

import copy
from datetime import date, datetime, time, timedelta
from functools import lru_cache
from typing import NamedTuple

from croniter import croniter

from core.cron.expression import DAYS_IN_MONTH, Cron

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)

# Days match by date or weekday, or by both. Their expression and start are replaced in each copy.
EITHER, BOTH = (croniter("* * * * *", datetime(1970, 1, 1), day_or=day_or) for day_or in (True, False))


class Days(NamedTuple):
    """The fields of an expression that decide which days match."""

    of_month: frozenset[int]
    months: frozenset[int]
    of_week: frozenset[int]
    both: bool


def after(cron: Cron, wall: datetime) -> datetime:
    """Return the first matching local time after wall (exclusive)."""
    wall = floor_minute(wall) + MINUTE
    if _is_day(cron, wall):
        left = [minute for minute in cron.minutes if minute >= wall.minute] if wall.hour in cron.hours else []
        if left:
            return wall.replace(minute=min(left))
        if later := [hour for hour in cron.hours if hour > wall.hour]:
            return wall.replace(hour=min(later), minute=min(cron.minutes))
    return _day(_days(cron), wall.date(), back=False).replace(hour=min(cron.hours), minute=min(cron.minutes))


def at_or_after(cron: Cron, wall: datetime) -> datetime:
    """Return the first matching local time after wall (inclusive)."""
    return after(cron, ceil_minute(wall) - MINUTE)


def at_or_before(cron: Cron, wall: datetime) -> datetime:
    """Return the last matching local time before wall (inclusive)."""
    wall = floor_minute(wall)
    if _is_day(cron, wall):
        left = [minute for minute in cron.minutes if minute <= wall.minute] if wall.hour in cron.hours else []
        if left:
            return wall.replace(minute=max(left))
        if earlier := [hour for hour in cron.hours if hour < wall.hour]:
            return wall.replace(hour=max(earlier), minute=max(cron.minutes))
    return _day(_days(cron), wall.date(), back=True).replace(hour=max(cron.hours), minute=max(cron.minutes))


def count(cron: Cron, after: datetime, until: datetime) -> int:
    """Return the number of matching local times in (after, until]; 0 if the range is empty."""
    if until <= after:
        return 0
    per_day = len(cron.hours) * len(cron.minutes)
    between = range((until.date() - after.date()).days)
    days = sum(_is_day(cron, after + day * DAY) for day in between)
    return days * per_day + _count_to(cron, until) - _count_to(cron, after)


def matches(cron: Cron, wall: datetime) -> bool:
    """Return True if a local time, a full minute, matches."""
    return wall.minute in cron.minutes and wall.hour in cron.hours and _is_day(cron, wall)


def floor_minute(instant: datetime) -> datetime:
    """Return the full minute at or before an instant."""
    return instant.replace(second=0, microsecond=0)


def ceil_minute(instant: datetime) -> datetime:
    """Return the full minute at or after a naive instant."""
    return -((datetime.min - instant) // MINUTE) * MINUTE + datetime.min


def _days(cron: Cron) -> Days:
    return Days(cron.days_of_month, cron.months, cron.days_of_week, cron.both_days)


# Tens of thousands of expressions, different in minutes and hours, share some hundred combinations of day fields.
@lru_cache(maxsize=2048)
def _day(days: Days, start: date, *, back: bool) -> datetime:
    """Return midnight of the first matching day after another day, or of the last one before it."""
    walker = copy.copy(BOTH if days.both else EITHER)
    walker.expanded = [[0], [0], *_fields(days)]
    midnight = datetime.combine(start, time())
    day: datetime = walker.get_prev(datetime, midnight) if back else walker.get_next(datetime, midnight)
    return day


def _fields(days: Days) -> tuple[list[int | str], list[int | str], list[int | str]]:
    """Return day of month, month and day of week in the form of croniter, with * for a field that excludes no day."""
    longest = max(DAYS_IN_MONTH[month] for month in days.months)
    of_month = frozenset(day for day in days.of_month if day <= longest)
    months = _field(days.months, 12)
    if not days.both and (len(of_month) == longest or len(days.of_week) == 7):
        return ["*"], months, ["*"]  # either may match, and one always does
    # If no month has such a day, the weekday alone decides; croniter would search for the day for milliseconds.
    return _field(of_month, longest) if of_month else ["*"], months, _field(days.of_week, 7)


def _field(values: frozenset[int], size: int) -> list[int | str]:
    return ["*"] if len(values) == size else sorted(values)


def _count_to(cron: Cron, wall: datetime) -> int:
    """Return the number of matches on the day of wall, from midnight to wall (inclusive)."""
    if not _is_day(cron, wall):
        return 0
    full_hours = sum(hour < wall.hour for hour in cron.hours)
    minutes = sum(minute <= wall.minute for minute in cron.minutes) if wall.hour in cron.hours else 0
    return full_hours * len(cron.minutes) + minutes


def _is_day(cron: Cron, wall: datetime) -> bool:
    day, weekday = wall.day in cron.days_of_month, wall.isoweekday() % 7 in cron.days_of_week
    return wall.month in cron.months and ((day and weekday) if cron.both_days else (day or weekday))
