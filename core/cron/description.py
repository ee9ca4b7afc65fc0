"""A cron expression in words.

cron-descriptor finds the words, for fields written so that they come out right: it calls */50 "every 50 minutes",
leaves the "or" out of 0 0 15 * 1-5, and does not know that both day fields must match where one starts with *.
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
    """Return what an expression in its normal form means. Raises InvalidCron."""
    cron = parse(expression)
    time = f"{_minutes(cron)} {_hours(cron)}"
    months = _runs(cron.months) if len(cron.months) < 12 else "*"
    every_day, every_weekday = len(cron.days_of_month) == 31, len(cron.days_of_week) == 7
    if not cron.both_days and (every_day or every_weekday):
        every_day = every_weekday = True  # either may match, and one always does
    days = "*" if every_day else _runs(cron.days_of_month)
    if every_weekday:
        return _words(f"{time} {days} {months} *")
    if every_day:
        return _words(f"{time} * {months} {_runs(_from_monday(cron))}")
    weekdays = ",".join(map(str, sorted(_from_monday(cron))))
    if not cron.both_days:
        return _words(f"{time} {days} {months} {weekdays}")
    # Both must match: without days of the month, the library says "only on" instead of "or on".
    return "".join(
        (
            _words(f"{time} {days} * *"),
            _words(f"{time} * * {weekdays}", DAY_OF_WEEK),
            _words(f"{time} * {months} *", MONTH),
        )
    )


def _minutes(cron: Cron) -> str:
    """Return minutes that read well with the hours: "every … minutes" only goes with hours that follow each other."""
    if _is_run(cron.hours):
        if len(cron.minutes) == 60:
            return "*"
        if step := _step(cron.minutes, 60):
            return f"*/{step}"
    return _runs(cron.minutes)


def _hours(cron: Cron) -> str:
    if len(cron.hours) == 24:
        return "*"
    if step := _step(cron.hours, 24):
        return f"*/{step}"
    hours = sorted(cron.hours)
    if _is_run(hours) and len(hours) > (1 if len(cron.minutes) > 1 else 2):
        return f"{hours[0]}-{hours[-1]}"
    return ",".join(map(str, hours))


def _from_monday(cron: Cron) -> set[int]:
    """Return the days of the week with Sunday as 7, so that a weekend is a run."""
    return {day or 7 for day in cron.days_of_week}


def _step(values: frozenset[int], size: int) -> int | None:
    """Return the step of values that come round evenly from 0 on, such as */15; None for others."""
    step = size // len(values)
    return step if 1 < step < size and values == frozenset(range(0, size, step)) else None


def _is_run(values: Iterable[int]) -> bool:
    ordered = sorted(values)
    return ordered[-1] - ordered[0] == len(ordered) - 1


def _runs(values: Iterable[int]) -> str:
    """Return a list in which three values or more that follow each other are a range."""
    runs: list[list[int]] = []
    for value in sorted(values):
        if runs and value == runs[-1][-1] + 1:
            runs[-1].append(value)
        else:
            runs.append([value])
    return ",".join(f"{run[0]}-{run[-1]}" if len(run) > 2 else ",".join(map(str, run)) for run in runs)


def _words(expression: str, part: DescriptionTypeEnum = DescriptionTypeEnum.FULL) -> str:
    options = Options()
    options.locale_code = "en_US"
    options.use_24hour_time_format = True
    words: str = ExpressionDescriptor(expression, options).get_description(part)
    return words
