"""When a cron expression fires: wall-clock times of a zone, as instants in UTC.

core.cron.wall_clock walks the wall clock, always with naive times. What daylight saving makes of
them is decided here, shift by shift: between two shifts the offset is constant.
"""

from datetime import UTC, datetime, timedelta

from core.cron import wall_clock
from core.cron.expression import Cron, InvalidCron, parse
from core.cron.time_zones import SECOND, InvalidTimeZone, Shift, first_shift, last_shift, offset
from core.cron.wall_clock import MINUTE

__all__ = ["InvalidCron", "InvalidTimeZone", "count_fires", "last_fire", "makes_up", "next_fire", "repeats"]

LARGE_SHIFT = timedelta(hours=3)  # from here on, it is just a new clock: nothing is made up
NEAR = timedelta(days=2)  # more than any clock was ever shifted by
# The calendar alone makes nobody wait for more than 40 years (29 February on one weekday, around 2100), and with
# daylight saving nobody has waited for more than 56 (Scoresbysund's hour 0 on Sunday, 29 March, from 1970 on).
LONGEST_WAIT = 60  # years


def next_fire(expression: str, timezone: str, after: datetime) -> datetime:
    """Return the first fire strictly after an aware instant, in UTC.

    expression is in its normal form (lower case, single blanks). Raises
    InvalidCron and InvalidTimeZone; InvalidCron, too, where daylight saving
    leaves out every minute that the expression names.
    """
    cron = parse(expression)
    instant, elapsed = _minute(timezone, after)
    candidate = wall_clock.after(cron, _skip_repeated(cron, timezone, instant, instant + elapsed))
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
        if makes_up(cron, shift):
            if candidate < shift.wall_after:
                candidate = wall_clock.ceil_minute(shift.wall_after)
        elif not repeats(cron, shift):
            candidate = wall_clock.at_or_after(cron, shift.wall_after)
    raise _never(expression, timezone)


def last_fire(expression: str, timezone: str, until: datetime) -> datetime:
    """Return the latest fire at or before an aware instant, in UTC.

    Raises as next_fire does.
    """
    cron, instant = parse(expression), _naive_utc(until)
    elapsed = offset(timezone, instant)
    candidate = wall_clock.at_or_before(cron, instant + elapsed)
    while until.year - candidate.year <= LONGEST_WAIT:
        # The hour before the candidate counts: in it, the candidate may have been fired already.
        reach = candidate - elapsed - LARGE_SHIFT
        shift = last_shift(timezone, instant - NEAR, instant)
        if shift is None:
            if reach >= instant - NEAR:
                return _aware_utc(candidate - elapsed)
            instant = min(instant - NEAR, reach + NEAR)
            elapsed = offset(timezone, instant)
            continue
        if candidate >= (shift.wall_before if repeats(cron, shift) else shift.wall_after):
            return _aware_utc(candidate - elapsed)
        made_up = wall_clock.ceil_minute(shift.wall_after)
        if (
            makes_up(cron, shift)
            and made_up <= instant + elapsed
            and wall_clock.at_or_before(cron, made_up - MINUTE) >= shift.wall_before
        ):
            return _aware_utc(made_up - elapsed)
        instant, elapsed = shift.at - SECOND, shift.before
        candidate = wall_clock.at_or_before(cron, shift.wall_before - MINUTE)
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
        total += wall_clock.count(cron, wall, shift.wall_before - MINUTE)
        made_up = wall_clock.ceil_minute(shift.wall_after)
        instant, elapsed, wall = shift.at, shift.after, made_up - MINUTE
        if repeats(cron, shift):
            wall = shift.wall_before - MINUTE
        elif makes_up(cron, shift) and made_up <= end + elapsed and not wall_clock.count(cron, wall, made_up):
            total += min(1, wall_clock.count(cron, shift.wall_before - MINUTE, wall))
    return total + wall_clock.count(cron, wall, end + elapsed)


def _never(expression: str, timezone: str) -> InvalidCron:
    return InvalidCron(
        f'cron expression "{expression}" never fires in {timezone}: daylight saving leaves its minutes out'
    )


def makes_up(cron: Cron, shift: Shift) -> bool:
    """Whether what the shift leaves out is fired, once, right after it."""
    return not cron.wildcard and timedelta(0) < shift.size < LARGE_SHIFT


def repeats(cron: Cron, shift: Shift) -> bool:
    """Whether the hour that the shift brings again has been fired already."""
    return not cron.wildcard and -LARGE_SHIFT < shift.size < timedelta(0)


def _minute(timezone: str, after: datetime) -> tuple[datetime, timedelta]:
    """Return the instant at which the minute on the wall began, and the offset then.

    A shift within that minute (Monrovia had one) has yet to be made up for.
    """
    instant = _naive_utc(after)
    wall = instant + offset(timezone, instant)
    instant -= wall - wall_clock.floor_minute(wall)
    return instant, offset(timezone, instant)


def _skip_repeated(cron: Cron, timezone: str, instant: datetime, wall: datetime) -> datetime:
    """Return the wall time of an instant, or where the hour ends that is there for the second time."""
    shift = last_shift(timezone, instant - LARGE_SHIFT, instant)
    if shift is not None and repeats(cron, shift):
        return max(wall, shift.wall_before - MINUTE)
    return wall


def _naive_utc(instant: datetime) -> datetime:
    assert instant.tzinfo is not None, "an aware datetime, please"
    return instant.astimezone(UTC).replace(tzinfo=None)


def _aware_utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC)
