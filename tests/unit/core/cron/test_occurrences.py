"""When cron expressions fire, above all around the shifts of daylight saving."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from core.cron.occurrences import InvalidCron, InvalidTimeZone, count_fires, last_fire, next_fire


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def fires(expression: str, zone: str, start: str, end: str) -> list[str]:
    """List all fires in (start, end], in UTC."""
    found = []
    moment = next_fire(expression, zone, at(start))
    while moment <= at(end):
        found.append(moment.strftime("%d %H:%M"))
        moment = next_fire(expression, zone, moment)
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "start", "end", "expected"),
    [
        # Warsaw, 29 March 2026: 02:00 becomes 03:00 at 01:00 UTC.
        ("30 2 * * *", "Europe/Warsaw", "2026-03-28 12:00", "2026-03-30 12:00", ["29 01:00", "30 00:30"]),
        ("0,30 2 * * *", "Europe/Warsaw", "2026-03-28 12:00", "2026-03-29 12:00", ["29 01:00"]),
        ("30 2,3 * * *", "Europe/Warsaw", "2026-03-28 12:00", "2026-03-29 12:00", ["29 01:00", "29 01:30"]),
        ("*/30 * * * *", "Europe/Warsaw", "2026-03-29 00:00", "2026-03-29 01:30", ["29 00:30", "29 01:00", "29 01:30"]),
        ("30 */2 * * *", "Europe/Warsaw", "2026-03-28 23:00", "2026-03-29 03:00", ["28 23:30", "29 02:30"]),
        # Warsaw, 25 October 2026: 03:00 becomes 02:00 at 01:00 UTC.
        ("30 2 * * *", "Europe/Warsaw", "2026-10-24 12:00", "2026-10-26 12:00", ["25 00:30", "26 01:30"]),
        ("30 2 * * *", "Europe/Warsaw", "2026-10-25 00:30", "2026-10-26 12:00", ["26 01:30"]),
        ("30 2 * * *", "Europe/Warsaw", "2026-10-25 01:10", "2026-10-26 12:00", ["26 01:30"]),
        ("0 3 * * *", "Europe/Warsaw", "2026-10-25 01:10", "2026-10-26 12:00", ["25 02:00", "26 02:00"]),
        ("*/30 2 * * *", "Europe/Warsaw", "2026-10-24 12:00", "2026-10-25 12:00",
         ["25 00:00", "25 00:30", "25 01:00", "25 01:30"]),
        # New York, 8 March and 1 November 2026.
        ("30 2 * * *", "America/New_York", "2026-03-08 00:00", "2026-03-09 12:00", ["08 07:00", "09 06:30"]),
        ("30 1 * * *", "America/New_York", "2026-11-01 00:00", "2026-11-02 12:00", ["01 05:30", "02 06:30"]),
        # Lord Howe shifts by half an hour, Samoa lost the whole 30 December 2011.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 00:00", "2026-10-05 00:00", ["03 15:30", "04 15:15"]),
        ("0 12 * * *", "Pacific/Apia", "2011-12-28 23:00", "2011-12-31 23:00", ["29 22:00", "30 22:00", "31 22:00"]),
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-28 23:00", "2012-12-30 23:00", ["29 22:00"]),
        # Troll's clock goes back by two hours, from 03:00 to 01:00 at 01:00 UTC.
        ("30 2 * * *", "Antarctica/Troll", "2026-10-25 02:15", "2026-10-26 12:00", ["26 02:30"]),
        ("30 2 * * *", "Antarctica/Troll", "2026-10-24 12:00", "2026-10-25 12:00", ["25 00:30"]),
        # Casey's clock went from 02:00 to 05:00 on 18 October 2009, and on 5 March 2010 from 02:00 back to 23:00.
        ("0 3 * * *", "Antarctica/Casey", "2009-10-17 00:00", "2009-10-18 23:00", ["18 16:00"]),
        ("30 1 * * *", "Antarctica/Casey", "2010-03-04 00:00", "2010-03-05 23:00",
         ["04 14:30", "04 17:30", "05 17:30"]),
    ],
)  # fmt: skip
def test_it_fires(expression: str, zone: str, start: str, end: str, expected: list[str]) -> None:
    assert fires(expression, zone, start, end) == expected


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("0 0 1,15 * 1", ["01", "02", "09", "15", "16", "23", "30"]),  # either field may match
        ("0 0 */2 * 1", ["09", "23"]),  # both must, as one starts with *
        ("0 0 15 * *", ["15"]),
        ("0 0 31 11 1", ["02", "09", "16", "23", "30"]),
        ("0 0 15 * 0-6", [f"{day:02}" for day in range(1, 31)]),  # some weekday always matches
        ("0 0 1-31 * 1", [f"{day:02}" for day in range(1, 31)]),
        ("0 0 1-30 11 1", [f"{day:02}" for day in range(1, 31)]),  # all that November has
    ],
)
def test_the_day_rule_is_debians(expression: str, expected: list[str]) -> None:
    """November 2026 begins on a Sunday."""
    assert [text[:2] for text in fires(expression, "UTC", "2026-10-31 12:00", "2026-11-30 12:00")] == expected


def test_it_is_strictly_after() -> None:
    noon = at("2026-11-24 12:00")

    assert next_fire("0 12 * * *", "UTC", noon) == at("2026-11-25 12:00")
    assert next_fire("0 12 * * *", "UTC", noon - timedelta(microseconds=1)) == noon
    assert last_fire("0 12 * * *", "UTC", noon) == noon
    assert last_fire("0 12 * * *", "UTC", noon - timedelta(microseconds=1)) == at("2026-11-23 12:00")


@pytest.mark.parametrize(
    ("expression", "until", "expected"),
    [
        ("30 2 * * *", "2026-03-29 01:00", "2026-03-29 01:00"),  # made up at 03:00
        ("0 2 * * *", "2026-03-29 01:00", "2026-03-29 01:00"),
        ("30 2 * * *", "2026-03-29 00:59", "2026-03-28 01:30"),
        ("*/30 2 * * *", "2026-03-29 03:00", "2026-03-28 01:30"),  # not made up
        ("30 2 * * *", "2026-10-25 01:45", "2026-10-25 00:30"),  # 02:45 for the second time
        ("30 2 * * *", "2026-10-25 01:10", "2026-10-25 00:30"),  # 02:10 for the second time
        ("*/30 * * * *", "2026-10-25 01:10", "2026-10-25 01:00"),
        ("30 2 25 10 *", "2026-10-27 01:15", "2026-10-25 00:30"),  # two days later
        ("30 2 29 3 *", "2026-10-01 00:00", "2026-03-29 01:00"),
        ("0 0 29 2 *", "2027-03-01 00:00", "2024-02-28 23:00"),
    ],
)
def test_the_last_one_in_warsaw(expression: str, until: str, expected: str) -> None:
    assert last_fire(expression, "Europe/Warsaw", at(until)) == at(expected)


@pytest.mark.parametrize(
    ("expression", "after", "until", "count"),
    [
        ("0,20,40 2 * * *", "2026-03-28 12:00", "2026-03-29 12:00", 1),  # three were lost, one makes up for them
        ("0 2 * * *", "2026-03-28 12:00", "2026-03-29 12:00", 1),
        ("0,30 2,3 * * *", "2026-03-28 12:00", "2026-03-29 12:00", 2),
        ("*/20 2 * * *", "2026-03-28 12:00", "2026-03-29 12:00", 0),
        ("0,30 2 * * *", "2026-10-24 12:00", "2026-10-25 12:00", 2),
        ("*/30 2 * * *", "2026-10-24 12:00", "2026-10-25 12:00", 4),
        ("30 2 * * *", "2026-01-01 00:00", "2027-01-01 00:00", 365),
        ("* * * * *", "2026-01-01 00:00", "2027-01-01 00:00", 365 * 24 * 60),
    ],
)
def test_counting_in_warsaw(expression: str, after: str, until: str, count: int) -> None:
    assert count_fires(expression, "Europe/Warsaw", at(after), at(until)) == count


def test_it_takes_and_returns_instants_of_any_zone() -> None:
    after = datetime.fromisoformat("2026-11-24T13:00:00+01:00")

    assert next_fire("30 12 * * *", "UTC", after) == at("2026-11-24 12:30")
    assert next_fire("30 12 * * *", "UTC", after).utcoffset() == timedelta(0)


def test_a_leap_day_may_be_far_away() -> None:
    assert next_fire("0 0 29 2 */7", "UTC", at("2032-03-01 00:00")) == at("2060-02-29 00:00")


def test_threads_do_not_disturb_each_other() -> None:
    starts = [at("2026-01-01 00:00") + timedelta(days=day) for day in range(365)]
    expected = [next_fire("30 2 * * *", "Europe/Warsaw", start) for start in starts]
    interval = sys.getswitchinterval()

    sys.setswitchinterval(1e-6)  # seconds; threads take turns all the time
    try:
        with ThreadPoolExecutor(8) as threads:
            found = list(threads.map(lambda start: next_fire("30 2 * * *", "Europe/Warsaw", start), starts * 20))
    finally:
        sys.setswitchinterval(interval)

    assert found == expected * 20


@pytest.mark.parametrize(
    "zone",
    [
        "CET",
        "Europe/Nowhere",
        "",
        "/etc/passwd",
        "Europe/../UTC",
        "utc",
        "America/Argentina",
        "America/__init__.py",
        "/",
    ],
)
def test_it_refuses_a_zone(zone: str) -> None:
    with pytest.raises(InvalidTimeZone):
        next_fire("* * * * *", zone, at("2026-11-24 12:00"))


def test_daylight_saving_may_leave_out_all_that_an_expression_names() -> None:
    """On the last Sunday of March, Warsaw has no hour 2, and a wildcard job is not made up."""
    with pytest.raises(InvalidCron, match=r"\* 2 25-31 3 \*/7.*never fires in Europe/Warsaw: daylight saving"):
        next_fire("* 2 25-31 3 */7", "Europe/Warsaw", at("2026-01-01 00:00"))

    assert last_fire("* 2 25-31 3 */7", "Europe/Warsaw", at("2026-01-01 00:00")) == at("1987-03-29 00:59")
    assert next_fire("0 2 25-31 3 */7", "Europe/Warsaw", at("2026-01-01 00:00")) == at("2026-03-29 01:00")


def test_what_daylight_saving_left_out_for_decades_comes_again() -> None:
    """In Scoresbysund, the last Sunday of March had no hour 0 from 1981 to 2023."""
    assert next_fire("* 0 25-31 3 */7", "America/Scoresbysund", at("1981-01-01 00:00")).year == 2024
    assert next_fire("* 0 29 3 */7", "America/Scoresbysund", at("1970-03-30 00:00")).year == 2026


def test_a_lost_minute_that_began_between_two_full_minutes_is_made_up() -> None:
    """Monrovia's clock went from 00:00:00 to 00:44:30 on 7 January 1972."""
    assert fires("10 0 * * *", "Africa/Monrovia", "1972-01-06 00:00", "1972-01-08 12:00") == [
        "06 00:54", "07 00:45", "08 00:10",
    ]  # fmt: skip
    assert next_fire("10 0 * * *", "Africa/Monrovia", at("1972-01-07 00:44:40")) == at("1972-01-07 00:45")
    assert last_fire("10 0 * * *", "Africa/Monrovia", at("1972-01-07 00:44:40")) == at("1972-01-06 00:54:30")
    assert count_fires("10 0 * * *", "Africa/Monrovia", at("1972-01-07 00:44:40"), at("1972-01-07 00:45")) == 1
    assert count_fires("10 0 * * *", "Africa/Monrovia", at("1972-01-07 00:44:00"), at("1972-01-07 00:44:59")) == 0


def test_it_refuses_what_is_outside_the_dialect() -> None:
    with pytest.raises(InvalidCron, match="5/15"):
        next_fire("5/15 * * * *", "UTC", at("2026-11-24 12:00"))
