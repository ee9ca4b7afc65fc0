"""Description of a cron expression in English.

cron-descriptor writes it, from fields rewritten so that it is right: the library calls */50 "every 50 minutes", leaves
out the "or" of 0 0 15 * 1-5, and ignores that both day fields must match where one starts with *.
"""

from collections.abc import Iterable

from cron_descriptor import DescriptionTypeEnum, ExpressionDescriptor, Options

from core.cron.expression import Cron, parse

DAY_OF_MONTH, DAY_OF_WEEK, MONTH = (
    DescriptionTypeEnum.DAYOFMONTH,
    DescriptionTypeEnum.DAYOFWEEK,
    DescriptionTypeEnum.MONTH,
)


def describe(expression: str) -> str:
    """Return the description of an expression in its normal form. Raises InvalidCron."""
    cron = parse(expression)
    time = f"{_minutes(cron)} {_hours(cron)}"
    months = _ranges(cron.months) if len(cron.months) < 12 else "*"
    every_day, every_weekday = len(cron.days_of_month) == 31, len(cron.days_of_week) == 7
    if not cron.both_days and (every_day or every_weekday):
        every_day = every_weekday = True  # either may match, and one always does
    days = "*" if every_day else _ranges(cron.days_of_month)
    if every_weekday:
        return _describe(f"{time} {days} {months} *")
    if every_day:
        return _describe(f"{time} * {months} {_ranges(_from_monday(cron))}")
    weekdays = ",".join(map(str, sorted(_from_monday(cron))))
    if not cron.both_days:
        return _describe(f"{time} {days} {months} {weekdays}")
    # Both must match: without days of the month, the library writes "only on" instead of "or on".
    return "".join(
        (
            _describe(f"{time} {days} * *"),
            _describe(f"{time} * * {weekdays}", DAY_OF_WEEK),
            _describe(f"{time} * {months} *", MONTH),
        )
    )


def _minutes(cron: Cron) -> str:
    """Return the minutes; as a step only with consecutive hours, where "every … minutes" is right."""
    if _is_consecutive(cron.hours):
        if len(cron.minutes) == 60:
            return "*"
        if step := _step(cron.minutes, 60):
            return f"*/{step}"
    return _ranges(cron.minutes)


def _hours(cron: Cron) -> str:
    if len(cron.hours) == 24:
        return "*"
    if step := _step(cron.hours, 24):
        return f"*/{step}"
    hours = sorted(cron.hours)
    if _is_consecutive(hours) and len(hours) > (1 if len(cron.minutes) > 1 else 2):
        return f"{hours[0]}-{hours[-1]}"
    return ",".join(map(str, hours))


def _from_monday(cron: Cron) -> set[int]:
    """Return the days of the week with Sunday as 7, so that a weekend is consecutive."""
    return {day or 7 for day in cron.days_of_week}


def _step(values: frozenset[int], size: int) -> int | None:
    """Return the step of values that are evenly spaced from 0, such as */15; None for others."""
    step = size // len(values)
    return step if 1 < step < size and values == frozenset(range(0, size, step)) else None


def _is_consecutive(values: Iterable[int]) -> bool:
    ordered = sorted(values)
    return ordered[-1] - ordered[0] == len(ordered) - 1


def _ranges(values: Iterable[int]) -> str:
    """Return the values as a list, three or more consecutive ones as a range."""
    ranges: list[list[int]] = []
    for value in sorted(values):
        if ranges and value == ranges[-1][-1] + 1:
            ranges[-1].append(value)
        else:
            ranges.append([value])
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 2 else ",".join(map(str, part)) for part in ranges)


def _describe(expression: str, part: DescriptionTypeEnum = DescriptionTypeEnum.FULL) -> str:
    options = Options()
    options.locale_code = "en_US"
    options.use_24hour_time_format = True
    text: str = ExpressionDescriptor(expression, options).get_description(part)
    return text
