"""Occurrences around DST transitions: compared with the reference model, and over whole years."""

import struct
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cron.occurrences import InvalidCron, count_fires, last_fire, next_fire
from core.cron.time_zones import Transition, first_transition
from tests.support import cron_model

MINUTE, QUARTER, HOUR, DAY = timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
WINDOW = timedelta(days=2)
MAX_SEARCH = timedelta(days=3700)
WITHOUT_TRANSITIONS = datetime(2026, 6, 10, 12, tzinfo=UTC)
ALL_ZONES = [
    name for name in files("tzdata").joinpath("zones").read_text().split() if "/" in name or name == "UTC"
]  # fmt: skip
ODD_ZONES = [
    "Australia/Lord_Howe",  # 30 minutes
    "Antarctica/Troll",  # 2 hours
    "Asia/Pyongyang", "Asia/Kathmandu", "Africa/Monrovia", "America/Guyana",  # 30, 15, 44.5 and 45 minutes
    "Africa/Cairo", "America/Sao_Paulo", "America/Havana", "Asia/Beirut", "America/Asuncion",  # at midnight
    "Pacific/Chatham", "America/St_Johns",  # at 2:45; at 0:01 for some years
    "Pacific/Apia", "Pacific/Kwajalein", "Pacific/Fakaofo", "Antarctica/Casey", "Antarctica/Vostok",  # 24, 3, 7 hours
    "Africa/Casablanca", "Africa/El_Aaiun", "Asia/Gaza",  # four a year
    "Europe/Warsaw", "America/New_York", "Europe/Dublin", "America/Scoresbysund", "UTC",
]  # fmt: skip


@st.composite
def transitions_of_zones(draw: st.DrawFn) -> tuple[str, datetime]:
    """Draw a zone and, if it has one, the instant of one of its transitions."""
    zone = draw(st.sampled_from(ODD_ZONES) | st.sampled_from(ALL_ZONES))
    year = draw(st.integers(1970, 2100))
    start = datetime(year, 1, 1)  # noqa: DTZ001  # naive UTC
    transition = first_transition(zone, start, start + MAX_SEARCH)
    return zone, transition.at.replace(tzinfo=UTC) if transition else WITHOUT_TRANSITIONS.replace(year=year)


def lists(items: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.lists(items, min_size=1, max_size=3).map(",".join)


def ranges(low: int, high: int) -> st.SearchStrategy[str]:
    """Draw ranges within these bounds, with and without a step."""
    ends = st.tuples(st.integers(low, high - 1), st.integers(low + 1, high)).filter(lambda ends: ends[0] < ends[1])
    return st.tuples(ends, st.sampled_from(["", "/1", "/2", f"/{high}"])).map(
        lambda drawn: f"{drawn[0][0]}-{drawn[0][1]}{drawn[1]}"
    )


def fields(low: int, high: int, frequent: list[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.sampled_from(frequent),
        lists(st.integers(low, high).map(str) | st.sampled_from(frequent).filter(lambda item: "*" not in item)),
        lists(ranges(low, high)),
        st.integers(1, high).map(lambda step: f"*/{step}"),
    )


@st.composite
def expressions(draw: st.DrawFn, near: datetime) -> str:
    """Draw an expression that fires within a few days of a local time, and usually close to it."""
    hours = sorted({near.hour, (near.hour - 1) % 24, (near.hour + 1) % 24})
    minute = draw(fields(0, 59, ["*", "*/15", "0", "30", "45", "59", "0,30"]))
    hour = draw(fields(0, 23, ["*", "*/2", *map(str, hours), ",".join(map(str, hours)), f"0-{max(hours)}"]))
    today, tomorrow = near.day, (near + timedelta(days=1)).day
    day = draw(st.sampled_from(["*", "*", "*", "*/2", f"{today}", f"{today},{tomorrow}", "31", "1-7"]))
    month = draw(st.sampled_from(["*", "*", "*", f"{near.month}", "*/2", "jan-nov/2"]))
    weekday = draw(st.sampled_from(["*", "*", "*", "*/7", "7", "1-5", f"{near.isoweekday()}", "sat-7"]))
    return f"{minute} {hour} {day} {month} {weekday}"


@given(data=st.data())
def test_occurrences_agree_with_the_reference_model(data: st.DataObject) -> None:
    zone, transition_at = data.draw(transitions_of_zones())
    wall = transition_at.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    expression = data.draw(expressions(wall).filter(cron_model.is_valid))
    offsets = st.integers(-30 * 3600, 30 * 3600) | st.integers(-150, 150).map(lambda minutes: minutes * 60)
    start = transition_at + timedelta(
        seconds=data.draw(offsets), microseconds=data.draw(st.sampled_from([0, 0, 1, 999_999]))
    )  # fmt: skip
    end = start + timedelta(seconds=data.draw(st.integers(0, int(WINDOW.total_seconds()))))

    due_times = cron_model.fire_times(expression, zone, start - WINDOW, start + WINDOW + MINUTE)

    later = [due_at for due_at in due_times if due_at > start]
    try:
        next_due_at = next_fire(expression, zone, start)
    except InvalidCron:
        assert later == []
        return
    assert next_due_at > start
    assert next_due_at == later[0] if later else next_due_at > start + WINDOW
    earlier = [due_at for due_at in due_times if due_at <= start]
    if earlier:
        assert last_fire(expression, zone, start) == earlier[-1]
    assert count_fires(expression, zone, start, end) == sum(start < due_at <= end for due_at in due_times)


# One transition of each kind, in UTC.
TRANSITIONS = [
    ("Europe/Warsaw", "2026-03-29 01:00"), ("Europe/Warsaw", "2026-10-25 01:00"),  # an hour, at 2 and at 3
    ("Australia/Lord_Howe", "2026-10-03 15:30"), ("Australia/Lord_Howe", "2026-04-04 15:00"),  # half an hour
    ("Antarctica/Troll", "2026-03-29 01:00"), ("Antarctica/Troll", "2026-10-25 01:00"),  # two hours
    ("Africa/Cairo", "2026-04-23 22:00"), ("Africa/Cairo", "2026-10-29 21:00"),  # at midnight
    ("Antarctica/Casey", "2009-10-17 18:00"), ("Antarctica/Casey", "2010-03-04 15:00"),  # three hours
    ("Pacific/Apia", "2011-12-30 10:00"), ("Africa/Monrovia", "1972-01-07 00:44:30"),  # a day; 44 min 30 s
]  # fmt: skip


@pytest.mark.parametrize(("zone", "instant"), TRANSITIONS)
def test_occurrences_agree_with_the_reference_model_at_every_quarter_around_a_transition(
    zone: str, instant: str
) -> None:
    """Expressions at each quarter of the hours around it, tested close to each of their minutes."""
    at = datetime.fromisoformat(f"{instant}+00:00")
    transition = first_transition(zone, at.replace(tzinfo=None) - MINUTE, at.replace(tzinfo=None))
    assert transition is not None
    assert transition.at == at.replace(tzinfo=None)
    minutes = list(cron_model.local_minutes(zone, at - 48 * HOUR, at + 8 * HOUR))
    hours = sorted(
        {
            (wall + offset * HOUR).hour
            for wall in (transition.wall_before, transition.wall_after)
            for offset in range(-1, 3)
        }
    )
    for expression in [
        f"{minute} {hour} * * *" for hour in hours for minute in ("0", "15", "30,59", "*/30", "0-59/20")
    ]:
        due_times = list(cron_model.simulate(cron_model.parse(expression), iter(minutes)))
        assert count_fires(expression, zone, at, at) == 0
        starts = [at + offset * QUARTER for offset in range(-16, 17)]
        for start in [start + second * MINUTE / 60 for start in starts for second in (-60, -1, 0, 30)]:
            earlier = [due_at for due_at in due_times if due_at <= start]
            later = [due_at for due_at in due_times if due_at > start]
            assert last_fire(expression, zone, start) == earlier[-1], (expression, start)
            assert not later or next_fire(expression, zone, start) == later[0], (expression, start)
            for end in (start + QUARTER + MINUTE / 2, at + 7 * HOUR):
                count = sum(due_at <= end for due_at in later)
                assert count_fires(expression, zone, start, end) == count, (expression, start, end)


YEAR = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


# Written by hand for 2026: the occurrences (UTC) that are not one period after the previous one, and their distance.
IRREGULAR = {
    ("Europe/Warsaw", "30 2 * * *"): {"03-29 01:00": "23:30", "03-30 00:30": "23:30", "10-26 01:30": "25:00"},
    ("Europe/Warsaw", "0 0 * * *"): {"03-29 22:00": "23:00", "10-25 23:00": "25:00"},
    ("America/New_York", "30 2 * * *"): {"03-08 07:00": "23:30", "03-09 06:30": "23:30", "11-01 07:30": "25:00"},
    ("America/New_York", "0 0 * * *"): {"03-09 04:00": "23:00", "11-02 05:00": "25:00"},
    ("Australia/Lord_Howe", "30 2 * * *"): {"04-04 16:00": "24:30", "10-03 15:30": "23:30"},
    ("Australia/Lord_Howe", "0 0 * * *"): {"04-05 13:30": "24:30", "10-04 13:00": "23:30"},
    ("Africa/Cairo", "30 2 * * *"): {"04-23 23:30": "23:00", "10-30 00:30": "25:00"},
    ("Africa/Cairo", "0 0 * * *"): {"04-24 21:00": "23:00", "10-29 22:00": "25:00"},  # 24 April begins at 01:00
    ("Antarctica/Troll", "30 2 * * *"): {"03-29 01:00": "22:30", "03-30 00:30": "23:30", "10-26 02:30": "26:00"},
    ("Antarctica/Troll", "0 0 * * *"): {"03-29 22:00": "22:00", "10-26 00:00": "26:00"},
}


@pytest.mark.parametrize(
    "zone", ["Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Antarctica/Troll"]
)
def test_occurrences_of_a_whole_year_are_regular_except_around_transitions(zone: str) -> None:
    start, end = YEAR
    minutes = list(cron_model.local_minutes(zone, start - 30 * HOUR, end))
    for expression, period in {"30 2 * * *": DAY, "0 0 * * *": DAY, "*/30 * * * *": HOUR / 2}.items():
        due_times = [next_fire(expression, zone, start - timedelta(seconds=1))]
        while due_times[-1] < end:
            due_times.append(next_fire(expression, zone, due_times[-1]))
        due_times.pop()

        expected = cron_model.simulate(cron_model.parse(expression), iter(minutes))
        assert due_times == [due_at for due_at in expected if due_at >= start]
        assert len(due_times) == 365 * (DAY // period)
        irregular = {later: later - earlier for earlier, later in pairwise(due_times) if later - earlier != period}
        assert {
            later.strftime("%m-%d %H:%M"): f"{distance // HOUR}:{distance % HOUR // MINUTE:02}"
            for later, distance in irregular.items()
        } == IRREGULAR.get((zone, expression), {})


def tzif_data(zone: str) -> bytes:
    """Return the TZif data (RFC 9636) of a zone."""
    return files("tzdata.zoneinfo").joinpath(*zone.split("/")).read_bytes()


def tzdata_transitions(zone: str) -> list[datetime]:
    """Return the instants (UTC) since 1970 at which the TZif data of a zone change the offset."""
    data = tzif_data(zone)

    def counts(start: int) -> tuple[int, ...]:
        return struct.unpack(">6l", data[start + 20 : start + 44])

    utc, standard, leaps, times, types, letters = counts(0)
    second = 44 + 5 * times + 6 * types + letters + 8 * leaps + standard + utc  # the part with 64 bits
    _, _, _, times, types, _ = counts(second)
    position = second + 44
    instants = struct.unpack(f">{times}q", data[position : position + 8 * times])
    kinds = data[position + 8 * times : position + 9 * times]
    position += 9 * times
    offsets = [struct.unpack(">l", data[position + 6 * kind : position + 6 * kind + 4])[0] for kind in range(types)]
    return [
        datetime.fromtimestamp(instant, UTC)
        for instant, before, after in zip(instants, bytes(1) + kinds, kinds, strict=False)
        if offsets[before] != offsets[after] and instant >= 0
    ]


def all_transitions(zone: str, until: datetime) -> list[Transition]:
    transitions = []
    instant = datetime(1970, 1, 1) - timedelta(seconds=1)  # noqa: DTZ001  # naive UTC
    while transition := first_transition(zone, instant, until):
        transitions.append(transition)
        instant = transition.at
    return transitions


def test_first_transition_finds_every_transition_of_every_zone() -> None:
    """Up to the last one that the data list one by one; a rule describes those after it."""
    zones = {tzif_data(zone): zone for zone in ALL_ZONES}  # one of those that share their data
    for zone in zones.values():
        expected = tzdata_transitions(zone)
        last = expected[-1] if expected else datetime(1970, 1, 1, tzinfo=UTC)

        transitions = all_transitions(zone, last.replace(tzinfo=None))

        assert [transition.at.replace(tzinfo=UTC) for transition in transitions] == expected, zone
