"""Mapping of the system's clock to real time. Does no I/O."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

MINUTE = timedelta(minutes=1)


class Jump(NamedTuple):
    """A change of the system's clock: its offset from this real time on."""

    at: datetime
    offset: timedelta


class Timeline:
    """All changes of the system's clock."""

    def __init__(self, jumps: Sequence[Jump]) -> None:
        """Set the jumps, in ascending order; before the first one the offset is 0."""
        self._jumps = [Jump(jumps[0].at - timedelta(days=1), timedelta(0)), *jumps]
        self._clock_times = [jump.at + jump.offset for jump in self._jumps]

    def real_time(self, clock_time: datetime) -> datetime:
        """Return when the clock reached this time, or jumped past it."""
        index = bisect_right(self._clock_times, clock_time) - 1
        jump = self._jumps[index]
        real_time = clock_time - jump.offset
        return min(real_time, self._jumps[index + 1].at) if index + 1 < len(self._jumps) else real_time

    def real_seconds(self, start: datetime, end: datetime) -> float:
        """Return the real time between two times of the clock."""
        return (self.real_time(end) - self.real_time(start)).total_seconds()


def full_minutes(after: datetime, until: datetime) -> list[datetime]:
    """Return the full minutes from after (exclusive) to until (inclusive)."""
    first = after.replace(second=0, microsecond=0) + MINUTE
    return [first + number * MINUTE for number in range((until - first) // MINUTE + 1)]
