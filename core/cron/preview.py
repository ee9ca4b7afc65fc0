"""Preview of the next occurrences: local times, and the effect of daylight saving on them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from core.cron import wall_clock
from core.cron.expression import Cron, parse
from core.cron.occurrences import ZONE_CHANGE, next_fire, runs_skipped_times, skips_repeated_hour
from core.cron.time_zones import first_transition, last_transition, zone
from core.cron.wall_clock import MINUTE


class Occurrence(NamedTuple):
    """An occurrence, and the local times that it stands for where daylight saving moved or merged them.

    A skipped local time is naive, since it has no offset; a repeated one is listed with both offsets.
    """

    at: datetime  # UTC
    local: datetime
    stands_for: tuple[datetime, ...]

    @property
    def daylight_saving(self) -> Literal["moved", "merged"] | None:
        """The effect of the transition: one local time moved, or several merged into this occurrence."""
        if not self.stands_for:
            return None
        return "moved" if len(self.stands_for) == 1 else "merged"


def next_occurrences(expression: str, timezone: str, after: datetime, count: int) -> Iterator[Occurrence]:
    """Yield the first occurrences after an aware instant. Raises as next_fire does."""
    cron = parse(expression)
    for _ in range(count):
        after = next_fire(expression, timezone, after)
        local = after.astimezone(zone(timezone))
        stands_for = _skipped(cron, timezone, after, local) or _repeated(cron, timezone, after, local)
        yield Occurrence(after, local, stands_for)


def _skipped(cron: Cron, timezone: str, at: datetime, local: datetime) -> tuple[datetime, ...]:
    """Return the skipped times that an occurrence stands for, and its own if the expression names it as well."""
    instant, wall = at.replace(tzinfo=None), local.replace(tzinfo=None)
    transition = last_transition(timezone, instant - MINUTE, instant)  # the first full minute after it
    if transition is None or not runs_skipped_times(cron, transition):
        return ()
    skipped = []
    candidate = wall_clock.at_or_after(cron, transition.wall_before)
    while candidate < transition.wall_after:
        skipped.append(candidate)
        candidate = wall_clock.after(cron, candidate)
    if skipped and candidate == wall:
        skipped.append(local)
    return tuple(skipped)


def _repeated(cron: Cron, timezone: str, at: datetime, local: datetime) -> tuple[datetime, ...]:
    """Return both instants of a repeated local time, which is run once."""
    instant, wall = at.replace(tzinfo=None), local.replace(tzinfo=None)
    transition = first_transition(timezone, instant, instant + ZONE_CHANGE)
    if transition is None or not skips_repeated_hour(cron, transition) or wall < transition.wall_after:
        return ()
    repeated = (wall - transition.after).replace(tzinfo=UTC)
    return local, repeated.astimezone(zone(timezone))
