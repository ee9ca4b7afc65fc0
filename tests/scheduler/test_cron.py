"""When cron expressions fire, above all around the shifts of daylight saving."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from scheduler.cron import InvalidCron, InvalidTimeZone, count_fires, last_fire, next_fire
from scheduler.dialect import Cron, parse
from scheduler.zones import offset, shifts

MINUTE = timedelta(minutes=1)


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
        ("*/30 2 * * *", "Europe/Warsaw", "2026-10-24 12:00", "2026-10-25 12:00",
         ["25 00:00", "25 00:30", "25 01:00", "25 01:30"]),
        # New York, 8 March and 1 November 2026.
        ("30 2 * * *", "America/New_York", "2026-03-08 00:00", "2026-03-09 12:00", ["08 07:00", "09 06:30"]),
        ("30 1 * * *", "America/New_York", "2026-11-01 00:00", "2026-11-02 12:00", ["01 05:30", "02 06:30"]),
        # Lord Howe shifts by half an hour, Samoa lost the whole 30 December 2011.
        ("15 2 * * *", "Australia/Lord_Howe", "2026-10-03 00:00", "2026-10-05 00:00", ["03 15:30", "04 15:15"]),
        ("0 12 * * *", "Pacific/Apia", "2011-12-28 23:00", "2011-12-31 23:00", ["29 22:00", "30 22:00", "31 22:00"]),
        ("0 12 30 12 *", "Pacific/Apia", "2011-12-28 23:00", "2012-12-30 23:00", ["29 22:00"]),
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


def test_it_takes_and_returns_instants_of_any_zone() -> None:
    after = datetime.fromisoformat("2026-11-24T13:00:00+01:00")

    assert next_fire("30 12 * * *", "UTC", after) == at("2026-11-24 12:30")
    assert next_fire("30 12 * * *", "UTC", after).utcoffset() == timedelta(0)


def test_a_leap_day_may_be_far_away() -> None:
    assert next_fire("0 0 29 2 */7", "UTC", at("2032-03-01 00:00")) == at("2060-02-29 00:00")


@pytest.mark.parametrize("zone", ["CET", "Europe/Nowhere", "", "/etc/passwd", "Europe/../UTC", "utc"])
def test_it_refuses_a_zone(zone: str) -> None:
    with pytest.raises(InvalidTimeZone):
        next_fire("* * * * *", zone, at("2026-11-24 12:00"))


def test_it_refuses_what_is_outside_the_dialect() -> None:
    with pytest.raises(InvalidCron, match="5/15"):
        next_fire("5/15 * * * *", "UTC", at("2026-11-24 12:00"))


EXPRESSIONS = [
    "30 2 * * *", "*/15 * * * *", "0 0 * * *", "* * * * *", "30 2,3 * * *", "0 */2 * * *", "15 1-3 * * *",
    "0,30 2 * * *", "5 0-4/2 * * sun", "59 23 * * *", "0 * * * *", "* 2 * * *", "0 2 1-31 * 1", "0 3 * * 7",
]  # fmt: skip
ZONES = [
    "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Antarctica/Troll", "Pacific/Apia",
    "UTC", "America/St_Johns", "Antarctica/Casey", "Pacific/Chatham", "Africa/Casablanca", "Asia/Beirut",
    "America/Havana", "Antarctica/Vostok", "America/Sao_Paulo", "Pacific/Kwajalein",
]  # fmt: skip


@pytest.mark.parametrize("seed", range(40))
def test_it_agrees_with_a_walk_from_minute_to_minute(seed: int) -> None:
    chance = random.Random(seed)
    expression, zone = chance.choice(EXPRESSIONS), chance.choice(ZONES)
    around = shifts(zone, chance.randint(1973, 2037))
    shift = chance.choice(around).at if around else datetime(2026, 3, 3)  # noqa: DTZ001  # naive UTC
    start, end = shift - timedelta(hours=26), shift + timedelta(hours=40)
    expected = walk(expression, zone, start, end)

    for _ in range(30):
        now = shift + timedelta(seconds=chance.randint(-4 * 3600, 4 * 3600))
        later = now + timedelta(seconds=chance.randint(0, 20 * 3600))
        aware, until = now.replace(tzinfo=UTC), later.replace(tzinfo=UTC)
        following = [moment for moment in expected if moment > now]
        earlier = [moment for moment in expected if moment <= now]
        if following:
            assert next_fire(expression, zone, aware).replace(tzinfo=None) == following[0]
        if earlier:
            assert last_fire(expression, zone, aware).replace(tzinfo=None) == earlier[-1]
        assert count_fires(expression, zone, aware, until) == sum(now < moment <= later for moment in expected)


def walk(expression: str, zone: str, start: datetime, end: datetime) -> list[datetime]:
    """Fire as Debian's cron does: wake up every minute, and look by how much the clock on the wall has moved."""
    cron = parse(expression)
    found = set()
    instant = start - timedelta(hours=30)
    before: datetime | None = None
    repeated_until: datetime | None = None
    while instant < end:
        wall = instant + offset(zone, instant)
        before = before or wall - MINUTE
        jump = wall - before - MINUTE
        if timedelta(0) < jump < timedelta(hours=3) and not cron.wildcard:
            lost = [wall - minute * MINUTE for minute in range(1, int(jump / MINUTE) + 1)]
            if any(matches(cron, moment) for moment in lost):
                found.add(instant)
        elif timedelta(hours=-3) < jump < timedelta(0):
            repeated_until = before + MINUTE
        elif jump:
            repeated_until = None
        repeats = repeated_until is not None and wall < repeated_until
        if matches(cron, wall) and (cron.wildcard or not repeats):
            found.add(instant)
        before = wall
        instant += MINUTE
    return sorted(moment for moment in found if moment >= start)


def matches(cron: Cron, wall: datetime) -> bool:
    day, weekday = wall.day in cron.days_of_month, wall.isoweekday() % 7 in cron.days_of_week
    is_day = (day and weekday) if cron.both_days else (day or weekday)
    return is_day and wall.month in cron.months and wall.hour in cron.hours and wall.minute in cron.minutes
