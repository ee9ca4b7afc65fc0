"""Minutes with occurrences in the near future, fast enough for tens of thousands of cron specs."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import lru_cache

from core.cron import wall_clock
from core.cron.expression import parse
from core.cron.occurrences import ZONE_CHANGE, next_fire
from core.cron.time_zones import first_transition, offset
from core.cron.wall_clock import MINUTE


def minutes_with_fires(expression: str, timezone: str, start: datetime, count: int) -> Sequence[int]:
    """Return the indexes of those of count minutes from start (full, UTC) that have an occurrence.

    Raises as next_fire does.
    """
    local_times = _local_times(timezone, start, count)
    if local_times is None:
        return _one_by_one(expression, timezone, start, count)
    cron = parse(expression)
    return sorted(
        index
        for minute in cron.minutes
        for index, wall in local_times.get(minute, ())
        if wall_clock.matches(cron, wall)
    )


@lru_cache(maxsize=1024)
def _local_times(timezone: str, start: datetime, count: int) -> Mapping[int, Sequence[tuple[int, datetime]]] | None:
    """Return index and local time of each minute, by the minute of the hour; None if a transition affects them.

    By minute, since most expressions name one minute.
    """
    instant = start.replace(tzinfo=None)
    if first_transition(timezone, instant - ZONE_CHANGE, instant + count * MINUTE):
        return None
    wall = instant + offset(timezone, instant)
    # In a zone whose offset is no whole number of minutes, occurrences are between full minutes of UTC.
    if wall.second:
        return None
    local_times: dict[int, list[tuple[int, datetime]]] = {}
    for index in range(count):
        local = wall + index * MINUTE
        local_times.setdefault(local.minute, []).append((index, local))
    return local_times


def _one_by_one(expression: str, timezone: str, start: datetime, count: int) -> Sequence[int]:
    indexes = []
    fire = next_fire(expression, timezone, start - timedelta(microseconds=1))
    while (index := (fire - start) // MINUTE) < count:
        indexes.append(index)
        fire = next_fire(expression, timezone, fire)
    return indexes
