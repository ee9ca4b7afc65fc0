"""The next fires as people want to see them: on the clock on the wall, with what daylight saving did to them."""

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Literal, NamedTuple

from core.cron import wall_clock
from core.cron.expression import Cron, parse
from core.cron.occurrences import LARGE_SHIFT, makes_up, next_fire, repeats
from core.cron.time_zones import first_shift, last_shift, zone
from core.cron.wall_clock import MINUTE


class Fire(NamedTuple):
    """A fire, and the times that the expression names for it where that is not simply its own.

    A time that the clock on the wall skipped is naive, for it has no offset;
    one that it showed twice is there with both offsets.
    """

    at: datetime  # UTC
    local: datetime
    stands_for: tuple[datetime, ...]

    @property
    def daylight_saving(self) -> Literal["moved", "merged"] | None:
        """What the shift did: moved one time that the expression names, or merged several into this fire."""
        if not self.stands_for:
            return None
        return "moved" if len(self.stands_for) == 1 else "merged"


def next_fires(expression: str, timezone: str, after: datetime, count: int) -> Iterator[Fire]:
    """Yield the first fires after an aware instant. Raises as next_fire does."""
    cron = parse(expression)
    for _ in range(count):
        after = next_fire(expression, timezone, after)
        local = after.astimezone(zone(timezone))
        stands_for = _made_up(cron, timezone, after, local) or _repeated(cron, timezone, after, local)
        yield Fire(after, local, stands_for)


def _made_up(cron: Cron, timezone: str, at: datetime, local: datetime) -> tuple[datetime, ...]:
    """Return the lost times that a fire makes up for, and its own if the expression names it as well."""
    instant, wall = at.replace(tzinfo=None), local.replace(tzinfo=None)
    shift = last_shift(timezone, instant - MINUTE, instant)  # the first full minute after it
    if shift is None or not makes_up(cron, shift):
        return ()
    named = []
    following = wall_clock.at_or_after(cron, shift.wall_before)
    while following < shift.wall_after:
        named.append(following)
        following = wall_clock.after(cron, following)
    if named and following == wall:
        named.append(local)
    return tuple(named)


def _repeated(cron: Cron, timezone: str, at: datetime, local: datetime) -> tuple[datetime, ...]:
    """Return both times at which the clock shows what is fired once."""
    instant, wall = at.replace(tzinfo=None), local.replace(tzinfo=None)
    shift = first_shift(timezone, instant, instant + LARGE_SHIFT)
    if shift is None or not repeats(cron, shift) or wall < shift.wall_after:
        return ()
    again = (wall - shift.after).replace(tzinfo=UTC)
    return local, again.astimezone(zone(timezone))
