"""Reference model of the cron dialect and of daylight saving: slow, and written from the specification only.

It shares no code with core/ or sql/. Validity: the grammar, the additional rules of the dialect, and croniter for the
rest. Due times: a simulation minute by minute with a virtual clock, like Debian's cron.
"""

import re
import zoneinfo
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

zoneinfo.reset_tzpath(to=())  # PyPI's tzdata alone

ZERO, MINUTE, HOUR = timedelta(0), timedelta(minutes=1), timedelta(hours=1)
MAX_CLOCK_CHANGE = timedelta(hours=3)  # from here on, the clock was set

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
    """The times that an expression matches."""

    fields: list[set[int]]
    both_days: bool  # both day fields have to match, not one of them
    wildcard: bool


def normalize(expression: str) -> str:
    """Return the normalized form: only blanks and tabs separate fields, only A to Z are lowercased."""
    words = [word for word in re.split("[ \t]+", expression) if word]
    return "".join(chr(ord(letter) + 32) if "A" <= letter <= "Z" else letter for letter in " ".join(words))


def is_valid(expression: str) -> bool:
    """Return True for a valid expression, before normalization."""
    text = normalize(expression)
    if text in ALIASES:
        return True
    texts = text.split(" ")
    if len(text.encode()) > 512 or len(texts) != 5:
        return False
    if not all(FIELD.fullmatch(field) and _is_in_dialect(field, index) for index, field in enumerate(texts)):
        return False
    try:
        croniter(text, datetime(2000, 1, 1), implement_cron_bug=True).get_next(datetime)  # noqa: DTZ001
    except (CroniterBadCronError, CroniterBadDateError):
        return False
    return True


def _is_in_dialect(field: str, index: int) -> bool:
    """Check the rules that croniter lacks: ranges ascend, and no step exceeds the maximum of the field."""
    low, high = RANGES[index]
    for item in field.split(","):
        ends, _, step = item.partition("/")
        if step and not 1 <= int(step) <= high:
            return False
        values = [_value(bound, index) for bound in ends.split("-")] if ends != "*" else [low]
        if any(value is None or not low <= value <= high for value in values):
            return False
        if len(values) == 2 and not (values[0] or 0) < (values[1] or 0):
            return False
    return True


def _value(word: str, index: int) -> int | None:
    return int(word) if word[0] in "0123456789" else NAMES.get(index, {}).get(word)


def parse(expression: str) -> Job:
    """Parse a valid expression."""
    texts = ALIASES.get(normalize(expression), normalize(expression)).split(" ")
    fields = [_values(text, index) for index, text in enumerate(texts)]
    fields[4] = {day % 7 for day in fields[4]}
    return Job(fields, texts[2][0] == "*" or texts[4][0] == "*", texts[0][0] == "*" or texts[1][0] == "*")


def _values(text: str, index: int) -> set[int]:
    low, high = RANGES[index]
    values: set[int] = set()
    for item in text.split(","):
        ends, _, step = item.partition("/")
        bounds = [_value(bound, index) for bound in ends.split("-")] if ends != "*" else [low, high]
        first, last = bounds[0], bounds[-1]
        assert first is not None
        assert last is not None
        values |= {value for value in range(first, last + 1) if (value - first) % int(step or 1) == 0}
    return values


def matches(job: Job, wall: datetime) -> bool:
    """Return True if the job runs at a local time, ignoring daylight saving."""
    minutes, hours, days, months, weekdays = job.fields
    if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
        return False
    is_day, is_weekday = wall.day in days, (wall.weekday() + 1) % 7 in weekdays
    return (is_day and is_weekday) if job.both_days else (is_day or is_weekday)


def local_minutes(zone: str, start: datetime, end: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield each instant (UTC) of [start, end) at which a minute of local time begins, and the local time."""
    info = zoneinfo.ZoneInfo(zone)
    instant = constant_until = start.replace(second=0, microsecond=0)
    step = timedelta(seconds=30) if zone == "Africa/Monrovia" else MINUTE  # was 44 min 30 s behind until 1972
    while instant < end:
        if instant >= constant_until:
            local, later = instant.astimezone(info), (instant + HOUR).astimezone(info)
            # No offset lasts less than an hour.
            constant_until = instant + (HOUR if local.utcoffset() == later.utcoffset() else step)
            wall = local.replace(tzinfo=None)
        if wall.second == 0:
            yield instant, wall
        instant += step
        wall += step


def simulate(job: Job, minutes: Iterator[tuple[datetime, datetime]]) -> Iterator[datetime]:
    """Yield the due times of the job, evaluated every minute.

    The virtual clock holds the last minute that was evaluated for fixed-time jobs. It is never set back, and catches up
    with forward jumps minute by minute.
    """
    virtual: datetime | None = None
    for instant, wall in minutes:
        ahead = wall - virtual if virtual is not None else MINUTE
        if job.wildcard or ahead == MINUTE or abs(ahead - MINUTE) >= MAX_CLOCK_CHANGE:
            is_due = matches(job, wall)
        else:
            is_due = any(matches(job, wall - minute * MINUTE) for minute in range(ahead // MINUTE))
        if ahead > ZERO or ahead - MINUTE <= -MAX_CLOCK_CHANGE:
            virtual = wall
        if is_due:
            yield instant


def fire_times(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Return the due times in [start, end), in UTC; the simulation begins some hours earlier."""
    begin = start.astimezone(UTC) - timedelta(hours=30)
    return [instant for instant in simulate(parse(expression), local_minutes(zone, begin, end)) if instant >= start]
