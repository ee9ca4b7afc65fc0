"""Which of the coming minutes have fires: quick enough to look at tens of thousands of pairs together."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from core.cron import wall_clock
from core.cron.expression import parse
from core.cron.occurrences import LARGE_SHIFT, next_fire
from core.cron.time_zones import first_shift, offset
from core.cron.wall_clock import MINUTE


def minutes_with_fires(expression: str, timezone: str, start: datetime, count: int) -> Sequence[int]:
    """Return which of count minutes from a full one on (UTC) have a fire; 0 is the first. Raises as next_fire does."""
    clock = _steady_clock(timezone, start, count)
    if clock is None:
        return _one_by_one(expression, timezone, start, count)
    cron = parse(expression)
    return sorted(
        place for minute in cron.minutes for place, wall in clock.get(minute, ()) if wall_clock.matches(cron, wall)
    )


@lru_cache(maxsize=1024)
def _steady_clock(timezone: str, start: datetime, count: int) -> Mapping[int, Sequence[tuple[int, datetime]]] | None:
    """Return what the clock on the wall shows, by its minute: when, and all of it; None where a shift has a part in it.

    By minute, since most expressions name one of them.
    """
    instant = start.replace(tzinfo=None)
    if first_shift(timezone, instant - LARGE_SHIFT, instant + count * MINUTE):
        return None
    wall = instant + offset(timezone, instant)
    # A zone whose offset is no whole number of minutes fires between ours, as next_fire() has it.
    if wall.second:
        return None
    clock: dict[int, list[tuple[int, datetime]]] = {}
    for place in range(count):
        shown = wall + place * MINUTE
        clock.setdefault(shown.minute, []).append((place, shown))
    return clock


def _one_by_one(expression: str, timezone: str, start: datetime, count: int) -> Sequence[int]:
    found = []
    fire = next_fire(expression, timezone, start - timedelta(microseconds=1))
    while (place := (fire - start) // MINUTE) < count:
        found.append(place)
        fire = next_fire(expression, timezone, fire)
    return found
