"""Occurrences of cron expressions, above all around DST transitions."""

import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta

import pytest

from core.cron.occurrences import InvalidCron, InvalidTimeZone, count_fires, last_fire, next_fire
from tests.support.timestamps import utc


def due_times(expression: str, zone: str, start: str, end: str) -> list[str]:
    """Return the occurrences in (start, end], in UTC."""
    texts = []
    due_at = next_fire(expression, zone, utc(start))
    while due_at <= utc(end):
        texts.append(due_at.strftime("%d %H:%M"))
        due_at = next_fire(expression, zone, due_at)
    return texts


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
        # The clock of Lord Howe changes by half an hour; Samoa skipped the whole 30 December 2011.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 00:00", "2026-10-05 00:00", ["03 15:30", "04 15:15"]),
        ("0 12 * * *", "Pacific/Apia", "2011-12-28 23:00", "2011-12-31 23:00", ["29 22:00", "30 22:00", "31 22:00"]),
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-28 23:00", "2012-12-30 23:00", ["29 22:00"]),
        # The clock of Troll is set back by two hours, from 03:00 to 01:00 at 01:00 UTC.
        ("30 2 * * *", "Antarctica/Troll", "2026-10-25 02:15", "2026-10-26 12:00", ["26 02:30"]),
        ("30 2 * * *", "Antarctica/Troll", "2026-10-24 12:00", "2026-10-25 12:00", ["25 00:30"]),
        # The clock of Casey was set from 02:00 to 05:00 on 18 October 2009, and from 02:00 to 23:00 on 5 March 2010.
        ("0 3 * * *", "Antarctica/Casey", "2009-10-17 00:00", "2009-10-18 23:00", ["18 16:00"]),
        ("30 1 * * *", "Antarctica/Casey", "2010-03-04 00:00", "2010-03-05 23:00",
         ["04 14:30", "04 17:30", "05 17:30"]),
    ],
)  # fmt: skip
def test_occurrences_around_dst_transitions(
    expression: str, zone: str, start: str, end: str, expected: list[str]
) -> None:
    assert due_times(expression, zone, start, end) == expected


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
def test_day_fields_match_as_in_debians_cron(expression: str, expected: list[str]) -> None:
    """November 2026 begins on a Sunday."""
    assert [text[:2] for text in due_times(expression, "UTC", "2026-10-31 12:00", "2026-11-30 12:00")] == expected


def test_next_fire_is_after_the_instant_and_last_fire_at_or_before_it() -> None:
    noon = utc("2026-11-24 12:00")

    assert next_fire("0 12 * * *", "UTC", noon) == utc("2026-11-25 12:00")
    assert next_fire("0 12 * * *", "UTC", noon - timedelta(microseconds=1)) == noon
    assert last_fire("0 12 * * *", "UTC", noon) == noon
    assert last_fire("0 12 * * *", "UTC", noon - timedelta(microseconds=1)) == utc("2026-11-23 12:00")


@pytest.mark.parametrize(
    ("expression", "until", "expected"),
    [
        ("30 2 * * *", "2026-03-29 01:00", "2026-03-29 01:00"),  # runs at 03:00 instead
        ("0 2 * * *", "2026-03-29 01:00", "2026-03-29 01:00"),
        ("30 2 * * *", "2026-03-29 00:59", "2026-03-28 01:30"),
        ("*/30 2 * * *", "2026-03-29 03:00", "2026-03-28 01:30"),  # skipped
        ("30 2 * * *", "2026-10-25 01:45", "2026-10-25 00:30"),  # second 02:45
        ("30 2 * * *", "2026-10-25 01:10", "2026-10-25 00:30"),  # second 02:10
        ("*/30 * * * *", "2026-10-25 01:10", "2026-10-25 01:00"),
        ("30 2 25 10 *", "2026-10-27 01:15", "2026-10-25 00:30"),  # two days later
        ("30 2 29 3 *", "2026-10-01 00:00", "2026-03-29 01:00"),
        ("0 0 29 2 *", "2027-03-01 00:00", "2024-02-28 23:00"),
    ],
)
def test_last_fire_around_dst_transitions_in_warsaw(expression: str, until: str, expected: str) -> None:
    assert last_fire(expression, "Europe/Warsaw", utc(until)) == utc(expected)


@pytest.mark.parametrize(
    ("expression", "after", "until", "count"),
    [
        ("0,20,40 2 * * *", "2026-03-28 12:00", "2026-03-29 12:00", 1),  # three are skipped, one runs instead
        ("0 2 * * *", "2026-03-28 12:00", "2026-03-29 12:00", 1),
        ("0,30 2,3 * * *", "2026-03-28 12:00", "2026-03-29 12:00", 2),
        ("*/20 2 * * *", "2026-03-28 12:00", "2026-03-29 12:00", 0),
        ("0,30 2 * * *", "2026-10-24 12:00", "2026-10-25 12:00", 2),
        ("*/30 2 * * *", "2026-10-24 12:00", "2026-10-25 12:00", 4),
        ("30 2 * * *", "2026-01-01 00:00", "2027-01-01 00:00", 365),
        ("* * * * *", "2026-01-01 00:00", "2027-01-01 00:00", 365 * 24 * 60),
    ],
)
def test_count_fires_around_dst_transitions_in_warsaw(expression: str, after: str, until: str, count: int) -> None:
    assert count_fires(expression, "Europe/Warsaw", utc(after), utc(until)) == count


def test_next_fire_accepts_instants_of_any_zone_and_returns_utc() -> None:
    after = datetime.fromisoformat("2026-11-24T13:00:00+01:00")

    assert next_fire("30 12 * * *", "UTC", after) == utc("2026-11-24 12:30")
    assert next_fire("30 12 * * *", "UTC", after).utcoffset() == timedelta(0)


def test_next_fire_finds_leap_day_on_sunday_28_years_later() -> None:
    assert next_fire("0 0 29 2 */7", "UTC", utc("2032-03-01 00:00")) == utc("2060-02-29 00:00")


def test_next_fire_is_thread_safe() -> None:
    starts = [utc("2026-01-01 00:00") + timedelta(days=day) for day in range(365)]
    expected = [next_fire("30 2 * * *", "Europe/Warsaw", start) for start in starts]
    interval = sys.getswitchinterval()

    sys.setswitchinterval(1e-6)  # seconds; switches threads as often as possible
    try:
        with ThreadPoolExecutor(8) as threads:
            results = list(threads.map(lambda start: next_fire("30 2 * * *", "Europe/Warsaw", start), starts * 20))
    finally:
        sys.setswitchinterval(interval)

    assert results == expected * 20


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
def test_next_fire_rejects_invalid_time_zone(zone: str) -> None:
    with pytest.raises(InvalidTimeZone):
        next_fire("* * * * *", zone, utc("2026-11-24 12:00"))


def test_expression_whose_every_time_is_skipped_by_daylight_saving_never_fires() -> None:
    """On the last Sunday of March, Warsaw has no hour 2, and a wildcard job does not run later instead."""
    with pytest.raises(InvalidCron, match=r"\* 2 25-31 3 \*/7.*never fires in Europe/Warsaw: daylight saving"):
        next_fire("* 2 25-31 3 */7", "Europe/Warsaw", utc("2026-01-01 00:00"))

    assert last_fire("* 2 25-31 3 */7", "Europe/Warsaw", utc("2026-01-01 00:00")) == utc("1987-03-29 00:59")
    assert next_fire("0 2 25-31 3 */7", "Europe/Warsaw", utc("2026-01-01 00:00")) == utc("2026-03-29 01:00")


def test_next_fire_finds_an_hour_that_daylight_saving_skipped_for_decades() -> None:
    """In Scoresbysund, the last Sunday of March had no hour 0 from 1981 to 2023."""
    assert next_fire("* 0 25-31 3 */7", "America/Scoresbysund", utc("1981-01-01 00:00")).year == 2024
    assert next_fire("* 0 29 3 */7", "America/Scoresbysund", utc("1970-03-30 00:00")).year == 2026


def test_skipped_time_runs_after_a_transition_between_two_full_minutes() -> None:
    """The clock of Monrovia was set from 00:00:00 to 00:44:30 on 7 January 1972."""
    assert due_times("10 0 * * *", "Africa/Monrovia", "1972-01-06 00:00", "1972-01-08 12:00") == [
        "06 00:54", "07 00:45", "08 00:10",
    ]  # fmt: skip
    assert next_fire("10 0 * * *", "Africa/Monrovia", utc("1972-01-07 00:44:40")) == utc("1972-01-07 00:45")
    assert last_fire("10 0 * * *", "Africa/Monrovia", utc("1972-01-07 00:44:40")) == utc("1972-01-06 00:54:30")
    assert count_fires("10 0 * * *", "Africa/Monrovia", utc("1972-01-07 00:44:40"), utc("1972-01-07 00:45")) == 1
    assert count_fires("10 0 * * *", "Africa/Monrovia", utc("1972-01-07 00:44:00"), utc("1972-01-07 00:44:59")) == 0


def test_next_fire_rejects_expression_outside_the_dialect() -> None:
    with pytest.raises(InvalidCron, match="5/15"):
        next_fire("5/15 * * * *", "UTC", utc("2026-11-24 12:00"))
