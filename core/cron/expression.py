"""Parser of cron expressions: the values of the five fields."""

import re
from functools import lru_cache
from typing import NamedTuple

ALIASES = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
MAX_LENGTH = 512  # bytes
MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
DAYS_IN_MONTH = dict.fromkeys(range(1, 13), 31) | {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}

STEP_OF_ALL = re.compile(r"\*/([0-9]{1,2})", re.ASCII)
ITEM = re.compile(r"([0-9]{1,2}|[a-z]{3})(?:-([0-9]{1,2}|[a-z]{3})(?:/([0-9]{1,2}))?)?", re.ASCII)


class InvalidCron(ValueError):
    """A cron expression that is not in the dialect, or that never fires."""


class Field(NamedTuple):
    """Name, range and names of values of one of the five fields."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()


FIELDS = (
    Field("minute", 0, 59),
    Field("hour", 0, 23),
    Field("day-of-month", 1, 31),
    Field("month", 1, 12, MONTHS),
    Field("day-of-week", 0, 7, DAYS),
)


class Cron(NamedTuple):
    """A cron expression as the values of its fields; Sunday is 0."""

    minutes: frozenset[int]
    hours: frozenset[int]
    days_of_month: frozenset[int]
    months: frozenset[int]
    days_of_week: frozenset[int]
    both_days: bool  # day-of-month and day-of-week must both match, as one starts with *
    wildcard: bool  # minute or hour starts with *: follows the clock through daylight saving


@lru_cache(maxsize=2048)  # about 0.5 MB; parsing takes 3 µs
def parse(expression: str) -> Cron:
    """Parse an expression in its normal form, as the validation trigger stores it.

    The validation trigger gives users messages with hints; this parser keeps rows that bypassed the trigger from
    firing at unintended times. Raises InvalidCron.
    """
    if len(expression) > MAX_LENGTH:
        raise InvalidCron(f"cron expression of {len(expression)} characters; at most {MAX_LENGTH} are supported")
    texts = ALIASES.get(expression, expression).split(" ")
    if len(texts) != len(FIELDS):
        raise InvalidCron(f'cron expression "{expression}" has {len(texts)} fields, not {len(FIELDS)}')
    try:
        minutes, hours, days, months, weekdays = map(_values, texts, FIELDS)
    except InvalidCron as error:
        raise InvalidCron(f'cron expression "{expression}": {error}') from None
    cron = Cron(
        minutes=minutes,
        hours=hours,
        days_of_month=days,
        months=months,
        days_of_week=_weekdays(weekdays),
        both_days=texts[2].startswith("*") or texts[4].startswith("*"),
        wildcard=texts[0].startswith("*") or texts[1].startswith("*"),
    )
    if cron.both_days and min(days) > max(DAYS_IN_MONTH[month] for month in months):
        raise InvalidCron(f'cron expression "{expression}" never fires: its months have no such day')
    return cron


@lru_cache(maxsize=1024)  # tens of thousands of expressions share some hundred fields
def _values(text: str, field: Field) -> frozenset[int]:
    if text == "*":
        return frozenset(range(field.low, field.high + 1))
    if step := STEP_OF_ALL.fullmatch(text):
        return _range(field, field.low, field.high, int(step[1]))
    return frozenset().union(*(_item(item, field) for item in text.split(",")))


@lru_cache(maxsize=1024)
def _weekdays(values: frozenset[int]) -> frozenset[int]:
    return frozenset(day % 7 for day in values)


def _item(item: str, field: Field) -> frozenset[int]:
    match = ITEM.fullmatch(item)
    if match is None:
        raise InvalidCron(f'{field.name} "{item}" is not understood')
    first = _value(match[1], field)
    if match[2] is None:
        return frozenset([first])
    last = _value(match[2], field)
    if first >= last:
        raise InvalidCron(f'{field.name} "{item}" does not ascend')
    return _range(field, first, last, int(match[3] or 1))


def _value(word: str, field: Field) -> int:
    value = field.names.index(word) + field.low if word in field.names else -1
    if word.isdecimal():
        value = int(word)
    if not field.low <= value <= field.high:
        raise InvalidCron(f'"{word}" is not a {field.name}')
    return value


def _range(field: Field, first: int, last: int, step: int) -> frozenset[int]:
    if not 1 <= step <= field.high:
        raise InvalidCron(f"a {field.name} has no step {step}")
    return frozenset(range(first, last + 1, step))
