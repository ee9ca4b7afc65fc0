"""Occurrences of a cron expression in a time zone, as instants in UTC.

wall_clock finds the local times that match. This module decides what daylight saving changes about them, transition by
transition: between two transitions the offset is constant.
"""

from datetime import UTC, datetime, timedelta

from core.cron import wall_clock
from core.cron.expression import Cron, InvalidCron, parse
from core.cron.time_zones import SECOND, InvalidTimeZone, Transition, first_transition, last_transition, offset
from core.cron.wall_clock import MINUTE

__all__ = [
    "InvalidCron",
    "InvalidTimeZone",
    "count_fires",
    "last_fire",
    "next_fire",
    "runs_skipped_times",
    "skips_repeated_hour",
]

ZONE_CHANGE = timedelta(hours=3)  # a transition of this size or more is a change of the zone, not daylight saving
SEARCH_WINDOW = timedelta(days=2)  # longer than any transition
# By the calendar alone, at most 40 years (29 February on one weekday, around 2100); with daylight saving, at most 56 so
# far (hour 0 of Scoresbysund on Sunday, 29 March, from 1970 on).
MAX_WAIT = 60  # years


def next_fire(expression: str, timezone: str, after: datetime) -> datetime:
    """Return the first occurrence after an aware instant (exclusive), in UTC.

    The expression is in its normal form (lower case, single blanks). Raises InvalidCron and InvalidTimeZone;
    InvalidCron also where daylight saving skips every minute that the expression names.
    """
    cron = parse(expression)
    instant, elapsed = _minute(timezone, after)
    candidate = wall_clock.after(cron, _skip_repeated(cron, timezone, instant, instant + elapsed))
    while candidate.year - after.year <= MAX_WAIT:
        occurrence = candidate - elapsed
        transition = first_transition(timezone, instant, min(occurrence, instant + SEARCH_WINDOW))
        if transition is None:
            if occurrence <= instant + SEARCH_WINDOW:
                return _aware_utc(occurrence)
            # No time before the candidate matches, so transitions before it do not matter.
            instant = max(instant + SEARCH_WINDOW, occurrence - SEARCH_WINDOW)
            elapsed = offset(timezone, instant)
            continue
        instant, elapsed = transition.at, transition.after
        if runs_skipped_times(cron, transition):
            if candidate < transition.wall_after:
                candidate = wall_clock.ceil_minute(transition.wall_after)
        elif not skips_repeated_hour(cron, transition):
            candidate = wall_clock.at_or_after(cron, transition.wall_after)
    raise _never(expression, timezone)


def last_fire(expression: str, timezone: str, until: datetime) -> datetime:
    """Return the last occurrence before an aware instant (inclusive), in UTC.

    Raises as next_fire does.
    """
    cron, instant = parse(expression), _naive_utc(until)
    elapsed = offset(timezone, instant)
    candidate = wall_clock.at_or_before(cron, instant + elapsed)
    while until.year - candidate.year <= MAX_WAIT:
        # A repeated hour before the candidate counts: the candidate may have been fired in it.
        reach = candidate - elapsed - ZONE_CHANGE
        transition = last_transition(timezone, instant - SEARCH_WINDOW, instant)
        if transition is None:
            if reach >= instant - SEARCH_WINDOW:
                return _aware_utc(candidate - elapsed)
            instant = min(instant - SEARCH_WINDOW, reach + SEARCH_WINDOW)
            elapsed = offset(timezone, instant)
            continue
        if candidate >= (transition.wall_before if skips_repeated_hour(cron, transition) else transition.wall_after):
            return _aware_utc(candidate - elapsed)
        made_up = wall_clock.ceil_minute(transition.wall_after)
        if (
            runs_skipped_times(cron, transition)
            and made_up <= instant + elapsed
            and wall_clock.at_or_before(cron, made_up - MINUTE) >= transition.wall_before
        ):
            return _aware_utc(made_up - elapsed)
        instant, elapsed = transition.at - SECOND, transition.before
        candidate = wall_clock.at_or_before(cron, transition.wall_before - MINUTE)
    raise _never(expression, timezone)


def count_fires(expression: str, timezone: str, after: datetime, until: datetime) -> int:
    """Return the number of occurrences in (after, until], without visiting each of them.

    Raises as next_fire does.
    """
    cron, end = parse(expression), _naive_utc(until)
    instant, elapsed = _minute(timezone, after)
    wall = _skip_repeated(cron, timezone, instant, instant + elapsed)
    total = 0
    while transition := first_transition(timezone, instant, end):
        total += wall_clock.count(cron, wall, transition.wall_before - MINUTE)
        made_up = wall_clock.ceil_minute(transition.wall_after)
        instant, elapsed, wall = transition.at, transition.after, made_up - MINUTE
        if skips_repeated_hour(cron, transition):
            wall = transition.wall_before - MINUTE
        elif (
            runs_skipped_times(cron, transition)
            and made_up <= end + elapsed
            and not wall_clock.count(cron, wall, made_up)
        ):
            total += min(1, wall_clock.count(cron, transition.wall_before - MINUTE, wall))
    return total + wall_clock.count(cron, wall, end + elapsed)


def _never(expression: str, timezone: str) -> InvalidCron:
    return InvalidCron(
        f'cron expression "{expression}" never fires in {timezone}: daylight saving leaves its minutes out'
    )


def runs_skipped_times(cron: Cron, transition: Transition) -> bool:
    """Return True if times that the transition skips are run, once, right after it."""
    return not cron.wildcard and timedelta(0) < transition.size < ZONE_CHANGE


def skips_repeated_hour(cron: Cron, transition: Transition) -> bool:
    """Return True if times that the transition repeats are not run again."""
    return not cron.wildcard and -ZONE_CHANGE < transition.size < timedelta(0)


def _minute(timezone: str, after: datetime) -> tuple[datetime, timedelta]:
    """Return the instant at which the current local minute began, and the offset at that instant.

    A transition within that minute (Monrovia had one) is still ahead.
    """
    instant = _naive_utc(after)
    wall = instant + offset(timezone, instant)
    instant -= wall - wall_clock.floor_minute(wall)
    return instant, offset(timezone, instant)


def _skip_repeated(cron: Cron, timezone: str, instant: datetime, wall: datetime) -> datetime:
    """Return the local time of an instant, or the end of a repeated hour that it is in."""
    transition = last_transition(timezone, instant - ZONE_CHANGE, instant)
    if transition is not None and skips_repeated_hour(cron, transition):
        return max(wall, transition.wall_before - MINUTE)
    return wall


def _naive_utc(instant: datetime) -> datetime:
    assert instant.tzinfo is not None, "the instant must be timezone-aware"
    return instant.astimezone(UTC).replace(tzinfo=None)


def _aware_utc(instant: datetime) -> datetime:
    return instant.replace(tzinfo=UTC)
