"""Descriptions of cron expressions."""

import random
from contextlib import suppress

import pytest

from core.cron.description import describe
from core.cron.expression import InvalidCron
from tests.support import cron_model
from tests.support.cron_strings import valid_expression


@pytest.mark.parametrize(
    ("expression", "description"),
    [
        ("* * * * *", "Every minute"),
        ("*/15 * * * *", "Every 15 minutes"),
        ("*/50 * * * *", "At 0 and 50 minutes past the hour"),
        ("5-59/15 * * * *", "At 5, 20, 35, and 50 minutes past the hour"),
        ("@hourly", "Every hour"),
        ("0 */2 * * *", "Every 2 hours"),
        ("* 9-10 * * *", "Every minute, between 09:00 and 10:59"),
        ("*/15 9,10 * * *", "Every 15 minutes, between 09:00 and 10:59"),
        ("0 9,10 * * *", "At 09:00 and 10:00"),
        ("30 2 * * *", "At 02:30"),
        ("30 2-4,8 * * *", "At 02:30, 03:30, 04:30 and 08:30"),
        ("*/15 0,5 * * *", "At 0, 15, 30, and 45 minutes past the hour, at 00:00 and 05:00"),
        ("* 2,5 * * *", "Minutes 0 through 59 past the hour, at 02:00 and 05:00"),
        ("*/10 9-17 * * 1-5", "Every 10 minutes, between 09:00 and 17:59, Monday through Friday"),
        ("0 9 * * mon-fri", "At 09:00, Monday through Friday"),
        ("0 0 * * 5-7", "At 00:00, Friday through Sunday"),
        ("0 0 * * 0,7", "At 00:00, only on Sunday"),
        ("0 0 * jan,mar-may *", "At 00:00, only in January and March through May"),
        ("0 0 29 2 *", "At 00:00, on day 29 of the month, only in February"),
        # the day rule: either one may match …
        ("0 0 1,15 * 1", "At 00:00, on day 1 and 15 of the month, or on Monday"),
        ("0 0 1 * 1-3", "At 00:00, on day 1 of the month, or on Monday, Tuesday, and Wednesday"),
        ("0 0 31 2 1", "At 00:00, on day 31 of the month, or on Monday, only in February"),
        ("0 0 1-31 * 1", "At 00:00"),
        # … and both must, where one starts with *
        ("0 0 */10 * 1", "At 00:00, on day 1, 11, 21, and 31 of the month, only on Monday"),
        ("0 0 13 3 */5", "At 00:00, on day 13 of the month, only on Friday and Sunday, only in March"),
    ],
)
def test_description_of_cron_expression(expression: str, description: str) -> None:
    assert describe(expression) == description


def test_expressions_with_different_meanings_have_different_descriptions() -> None:
    rng = random.Random(7)
    meanings: dict[str, object] = {}
    for _ in range(1000):
        expression = cron_model.normalize(valid_expression(rng))
        with suppress(InvalidCron):
            description = describe(expression)

            job = cron_model.parse(expression)
            minutes, hours, days, months, weekdays = map(sorted, job.fields)
            every_day, every_weekday = len(days) == 31, len(weekdays) == 7
            matching_days: object = (days, weekdays, job.both_days or every_day or every_weekday)
            if (every_day and every_weekday) or (not job.both_days and (every_day or every_weekday)):
                matching_days = "every day"
            meaning = (minutes, hours, months, matching_days)
            assert meanings.setdefault(description, meaning) == meaning, description
    assert len(meanings) > 700
