"""When a cron expression fires: wall-clock times of a zone, as instants in UTC.

croniter walks the wall clock, always with naive times. What daylight saving makes of
them is decided here, shift by shift: between two shifts the offset is constant.
"""

import copy
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from croniter import croniter

from scheduler.dialect import DAYS_IN_MONTH, Cron, InvalidCron, parse
from scheduler.zones import SECOND, InvalidTimeZone, Shift, first_shift, last_shift, offset

__all__ = ["InvalidCron", "InvalidTimeZone", "count_fires", "last_fire", "next_fire"]

MINUTE = timedelta(minutes=1)
DAY = timedelta(days=1)
LARGE_SHIFT = timedelta(hours=3)  # from here on, it is just a new clock: nothing is made up
NEAR = timedelta(days=2)  # more than any clock was ever shifted by
# The calendar alone makes nobody wait for more than 40 years (29 February on one weekday, around 2100), and the longest
# that daylight saving left out one hour of every year, and then no more, is 43 (Scoresbysund).
LONGEST_WAIT = 60  # years


def next_fire(expression: str, timezone: str, after: datetime) -> datetime:
    """Return the first fire strictly after an aware instant, in UTC.

    expression is in its normal form (lower case, single blanks). Raises
    InvalidCron and InvalidTimeZone; InvalidCron, too, where daylight saving
    leaves out every minute that the expression names.
    """
    cron = parse(expression)
    instant, elapsed = _minute(timezone, after)
    candidate = _after(expression, _skip_repeated(cron, timezone, instant, instant + elapsed))
    while candidate.year - after.year <= LONGEST_WAIT:
        found = candidate - elapsed
        shift = first_shift(timezone, instant, min(found, instant + NEAR))
        if shift is None:
            if found <= instant + NEAR:
                return _aware_utc(found)
            # Nothing matches on the way to the candidate, so no shift on the way matters.
            instant = max(instant + NEAR, found - NEAR)
            elapsed = offset(timezone, instant)
            continue
        instant, elapsed = shift.at, shift.after
        if _makes_up(cron, shift):
            if candidate < shift.wall_after:
                candidate = _ceil_minute(shift.wall_after)
        elif not _repeats(cron, shift):
            candidate = _at_or_after(expression, shift.wall_after)
    raise _never(expression, timezone)


def last_fire(expression: str, timezone: str, until: datetime) -> datetime:
    """Return the latest fire at or before an aware instant, in UTC.

    Raises as next_fire does.
    """
    cron, instant = parse(expression), _naive_utc(until)
    elapsed = offset(timezone, instant)
    candidate = _at_or_before(expression, instant + elapsed)
    while until.year - candidate.year <= LONGEST_WAIT:
        # The hour before the candidate counts: in it, the candidate may have been fired already.
        reach = candidate - elapsed - LARGE_SHIFT
        shift = last_shift(timezone, max(reach, instant - NEAR), instant)
        if shift is None:
            if reach >= instant - NEAR:
                return _aware_utc(candidate - elapsed)
            instant = min(instant - NEAR, reach + NEAR)
            elapsed = offset(timezone, instant)
            continue
        if candidate >= (shift.wall_before if _repeats(cron, shift) else shift.wall_after):
            return _aware_utc(candidate - elapsed)
        made_up = _ceil_minute(shift.wall_after)
        if (
            _makes_up(cron, shift)
            and made_up <= instant + elapsed
            and _at_or_before(expression, made_up - MINUTE) >= shift.wall_before
        ):
            return _aware_utc(made_up - elapsed)
        instant, elapsed = shift.at - SECOND, shift.before
        candidate = _at_or_before(expression, shift.wall_before - MINUTE)
    raise _never(expression, timezone)


def count_fires(expression: str, timezone: str, after: datetime, until: datetime) -> int:
    """Return how many fires lie in (after, until], without walking from one to the next.

    Raises as next_fire does.
    """
    cron, end = parse(expression), _naive_utc(until)
    instant, elapsed = _minute(timezone, after)
    wall = _skip_repeated(cron, timezone, instant, instant + elapsed)
    total = 0
    while shift := first_shift(timezone, instant, end):
        total += _count_walls(cron, wall, shift.wall_before - MINUTE)
        instant, elapsed, wall = shift.at, shift.after, _ceil_minute(shift.wall_after) - MINUTE
        if _repeats(cron, shift):
            wall = shift.wall_before - MINUTE
        elif _makes_up(cron, shift) and not _count_walls(cron, wall, wall + MINUTE):
            total += min(1, _count_walls(cron, shift.wall_before - MINUTE, wall))
    return total + _count_walls(cron, wall, end + elapsed)


def _never(expression: str, timezone: str) -> InvalidCron:
    return InvalidCron(
        f'cron expression "{expression}" never fires in {timezone}: daylight saving leaves its minutes out'
    )


def _makes_up(cron: Cron, shift: Shift) -> bool:
    """Whether what the shift leaves out is fired, once, right after it."""
    return not cron.wildcard and timedelta(0) < shift.size < LARGE_SHIFT


def _repeats(cron: Cron, shift: Shift) -> bool:
    """Whether the hour that the shift brings again has been fired already."""
    return not cron.wildcard and -LARGE_SHIFT < shift.size < timedelta(0)


def _minute(timezone: str, after: datetime) -> tuple[datetime, timedelta]:
    """Return the instant at which the minute on the wall began, and the offset then.

    A shift within that minute (Monrovia had one) has yet to be made up for.
    """
    instant = _naive_utc(after)
    wall = instant + offset(timezone, instant)
    instant -= wall - _floor_minute(wall)
    return instant, offset(timezone, instant)


def _skip_repeated(cron: Cron, timezone: str, instant: datetime, wall: datetime) -> datetime:
    """Return the wall time of an instant, or where the hour ends that is there for the second time."""
    shift = last_shift(timezone, instant - LARGE_SHIFT, instant)
    if shift is not None and _repeats(cron, shift):
        return max(wall, shift.wall_before - MINUTE)
    return wall


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
    days, weekdays = _day_fields(cron)
    text = " ".join((_field(cron.minutes, 60), _field(cron.hours, 24), days, _field(cron.months, 12), weekdays))
    return croniter(text, datetime(1970, 1, 1), day_or=not cron.both_days)


def _day_fields(cron: Cron) -> tuple[str, str]:
    """Return day-of-month and day-of-week with * for the one that does not restrict the days."""
    longest = max(DAYS_IN_MONTH[month] for month in cron.months)
    days = frozenset(day for day in cron.days_of_month if day <= longest)
    if not cron.both_days and (len(days) == longest or len(cron.days_of_week) == 7):
        return "*", "*"  # either may match, and one always does
    # Without a day that some month has, the weekday decides alone; croniter would look for the day for milliseconds.
    return _field(days, longest) if days else "*", _field(cron.days_of_week, 7)


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
