"""The cron dialect and daylight saving once more, read from the specification and slow: what tests compare with.

Nothing here comes from scheduler/ or sql/. What is accepted: the grammar, the dialect's extra rules, and croniter's
opinion of the rest. When it fires: a walk from minute to minute with a virtual clock, as Debian's cron does it.
"""

import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

zoneinfo.reset_tzpath(to=())  # PyPI's tzdata alone

MINUTE = timedelta(minutes=1)
LARGE = timedelta(hours=3)

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"]
WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
NAMES = {
    3: {name: number for number, name in enumerate(MONTHS, 1)},
    4: {name: number for number, name in enumerate(WEEKDAYS)},
}
RANGES = [(0, 59), (0, 23), (1, 31), (1, 12), (0, 7)]
FIELD = re.compile(
    r"\*(?:/[0-9]{1,2})?|VALUE(?:-VALUE(?:/[0-9]{1,2})?)?(?:,VALUE(?:-VALUE(?:/[0-9]{1,2})?)?)*".replace(
        "VALUE", "(?:[0-9]{1,2}|[a-z]{3})"
    )
)


class Job(NamedTuple):
    """What an expression names."""

    fields: list[set[int]]
    both_days: bool
    wildcard: bool


def normal(expression: str) -> str:
    """Return the form that is stored: only blanks and tabs count as blank, only A to Z have a lower case."""
    words = [word for word in re.split("[ \t]+", expression) if word]
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in " ".join(words))


def accepts(expression: str) -> bool:
    """Whether the dialect takes an expression, as a user writes it."""
    text = normal(expression)
    if text in ALIASES:
        return True
    texts = text.split(" ")
    if len(text.encode()) > 512 or len(texts) != 5:
        return False
    if not all(FIELD.fullmatch(field) and _is_in_dialect(field, place) for place, field in enumerate(texts)):
        return False
    try:
        croniter(text, datetime(2000, 1, 1), implement_cron_bug=True).get_next(datetime)  # noqa: DTZ001
    except (CroniterBadCronError, CroniterBadDateError):
        return False
    return True


def _is_in_dialect(field: str, place: int) -> bool:
    """Whether the rules hold that croniter does not have: ranges ascend, no step is above the field's maximum."""
    low, high = RANGES[place]
    for item in field.split(","):
        ends, _, step = item.partition("/")
        if step and not 1 <= int(step) <= high:
            return False
        values = [_value(word, place) for word in ends.split("-")] if ends != "*" else [low]
        if any(value is None or not low <= value <= high for value in values):
            return False
        if len(values) == 2 and not (values[0] or 0) < (values[1] or 0):
            return False
    return True


def _value(word: str, place: int) -> int | None:
    return int(word) if word[0] in "0123456789" else NAMES.get(place, {}).get(word)


def read(expression: str) -> Job:
    """Read an expression that the dialect takes."""
    texts = ALIASES.get(normal(expression), normal(expression)).split(" ")
    fields = [_values(text, place) for place, text in enumerate(texts)]
    fields[4] = {day % 7 for day in fields[4]}
    return Job(fields, texts[2][0] == "*" or texts[4][0] == "*", texts[0][0] == "*" or texts[1][0] == "*")


def _values(text: str, place: int) -> set[int]:
    low, high = RANGES[place]
    found: set[int] = set()
    for item in text.split(","):
        ends, _, step = item.partition("/")
        words = [_value(word, place) for word in ends.split("-")] if ends != "*" else [low, high]
        first, last = words[0], words[-1]
        assert first is not None
        assert last is not None
        found |= {value for value in range(first, last + 1) if (value - first) % int(step or 1) == 0}
    return found


def matches(job: Job, wall: datetime) -> bool:
    """Whether a wall time is one that the job names."""
    minutes, hours, days, months, weekdays = job.fields
    if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
        return False
    is_day, is_weekday = wall.day in days, (wall.weekday() + 1) % 7 in weekdays
    return (is_day and is_weekday) if job.both_days else (is_day or is_weekday)


def clock(zone: str, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield each instant (UTC) of [start, end) at which the clock on the wall begins a minute, and what it shows."""
    info = zoneinfo.ZoneInfo(zone)
    instant = start.replace(second=0, microsecond=0)
    step = timedelta(seconds=30) if zone == "Africa/Monrovia" else MINUTE  # was 44 min 30 s behind until 1972
    while instant < end:
        wall = instant.astimezone(info).replace(tzinfo=None)
        if wall.second == 0:
            yield instant, wall
        instant += step


def walk(job: Job, minutes: Iterator[tuple[datetime, datetime]]) -> Iterator[datetime]:
    """Yield the instants at which the job fires, waking up every minute.

    The virtual clock stands at the last minute for which fixed-time jobs were
    looked at. It is not turned back, and follows jumps ahead minute by minute.
    """
    virtual: datetime | None = None
    for instant, wall in minutes:
        ahead = wall - virtual if virtual is not None else MINUTE
        if abs(ahead - MINUTE) >= LARGE:
            virtual, ahead = wall - MINUTE, MINUTE
        if job.wildcard:
            fires = matches(job, wall)
        else:
            passed = [wall - minute * MINUTE for minute in range(ahead // MINUTE)]
            fires = any(matches(job, minute) for minute in passed)
        if ahead > timedelta(0):
            virtual = wall
        if fires:
            yield instant


def fires(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return all fires in [start, end), in UTC; the walk begins some hours before."""
    begin = start.astimezone(UTC) - timedelta(hours=30)
    return [instant for instant in walk(read(expression), clock(zone, begin, end)) if instant >= start]
