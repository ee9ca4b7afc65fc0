"""The next fires, with marks where daylight saving moved or merged them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cron.preview import next_occurrences
from tests.support import cron_model


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


@pytest.mark.parametrize(
    ("expression", "after", "local", "effect", "stands_for"),
    [
        ("30 2 * * *", "Europe/Warsaw 2026-03-28 12:00", "2026-03-29 03:00:00+02:00", "moved",
         ["2026-03-29 02:30:00"]),
        ("0,30 2 * * *", "Europe/Warsaw 2026-03-28 12:00", "2026-03-29 03:00:00+02:00", "merged",
         ["2026-03-29 02:00:00", "2026-03-29 02:30:00"]),
        ("0 2,3 * * *", "Europe/Warsaw 2026-03-28 12:00", "2026-03-29 03:00:00+02:00", "merged",
         ["2026-03-29 02:00:00", "2026-03-29 03:00:00+02:00"]),
        ("0 3 * * *", "Europe/Warsaw 2026-03-28 12:00", "2026-03-29 03:00:00+02:00", None, []),
        ("30 3 * * *", "Europe/Warsaw 2026-03-28 12:00", "2026-03-29 03:30:00+02:00", None, []),
        ("30 2,3 * * *", "Europe/Warsaw 2026-03-29 01:00", "2026-03-29 03:30:00+02:00", None, []),
        ("15 2,3 * * *", "Europe/Warsaw 2026-03-29 01:00", "2026-03-29 03:15:00+02:00", None, []),
        ("0 1,2 * * *", "Antarctica/Troll 2026-03-29 00:00", "2026-03-29 03:00:00+02:00", "merged",
         ["2026-03-29 01:00:00", "2026-03-29 02:00:00"]),
        ("30 2 * * *", "Antarctica/Troll 2026-10-24 12:00", "2026-10-25 02:30:00+02:00", "merged",
         ["2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+00:00"]),
        ("0 0 31 12 *", "Pacific/Apia 2011-12-29 23:00", "2011-12-31 00:00:00+14:00", None, []),
        ("* 0 31 12 *", "Pacific/Apia 2011-12-29 23:00", "2011-12-31 00:00:00+14:00", None, []),
        ("*/30 * * * *", "Europe/Warsaw 2026-03-29 00:30", "2026-03-29 03:00:00+02:00", None, []),
        ("30 2 * * *", "Europe/Warsaw 2026-10-24 12:00", "2026-10-25 02:30:00+02:00", "merged",
         ["2026-10-25 02:30:00+02:00", "2026-10-25 02:30:00+01:00"]),
        ("59 1 * * *", "Europe/Warsaw 2026-10-24 12:00", "2026-10-25 01:59:00+02:00", None, []),
        ("0 2 * * *", "Europe/Warsaw 2026-10-24 12:00", "2026-10-25 02:00:00+02:00", "merged",
         ["2026-10-25 02:00:00+02:00", "2026-10-25 02:00:00+01:00"]),
        ("0 3 * * *", "Europe/Warsaw 2026-10-24 12:00", "2026-10-25 03:00:00+01:00", None, []),
        ("*/30 * * * *", "Europe/Warsaw 2026-10-25 00:15", "2026-10-25 02:30:00+02:00", None, []),
        ("15 2 * * *", "Australia/Lord_Howe 2026-10-03 12:00", "2026-10-04 02:30:00+11:00", "moved",
         ["2026-10-04 02:15:00"]),
        ("10 0 * * *", "Africa/Monrovia 1972-01-07 00:00", "1972-01-07 00:45:00+00:00", "moved",
         ["1972-01-07 00:10:00"]),
        ("0 12 * * *", "Pacific/Apia 2011-12-29 23:00", "2011-12-31 12:00:00+14:00", None, []),
    ],
)  # fmt: skip
def test_it_marks_what_a_shift_moved_or_merged(
    expression: str, after: str, local: str, effect: str | None, stands_for: list[str]
) -> None:
    zone, _, start = after.partition(" ")

    [fire] = next_occurrences(expression, zone, at(start), 1)

    assert str(fire.local) == local
    assert fire.at.tzinfo == UTC
    assert fire.at == fire.local.astimezone(UTC)
    assert fire.daylight_saving == effect
    assert [str(named) for named in fire.stands_for] == stands_for


@given(
    minute=st.sampled_from(["0", "30", "0,30", "*/20", "10-50/20", "*"]),
    hour=st.sampled_from(["*", "0-4", "1", "2", "2,3", "*/2"]),
    zone=st.sampled_from(
        ["Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Cairo"]
    ),
    hours=st.integers(0, 24 * 365),
)
def test_marks_explain_every_fire_that_is_not_at_a_time_of_its_own(
    minute: str, hour: str, zone: str, hours: int
) -> None:
    expression = f"{minute} {hour} * * *"
    job = cron_model.parse(expression)

    for fire in next_occurrences(expression, zone, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours), 60):
        named = [moment.replace(tzinfo=None) for moment in fire.stands_for]
        assert all(cron_model.matches(job, moment) for moment in named)
        assert named or cron_model.matches(job, fire.local.replace(tzinfo=None))
        assert not (named and job.wildcard)
        assert named == sorted(named)


def test_it_returns_as_many_as_wanted() -> None:
    fires = list(next_occurrences("0 9 * * mon-fri", "Europe/Warsaw", at("2026-11-27 12:00"), 3))

    assert [fire.at for fire in fires] == [at("2026-11-30 08:00"), at("2026-12-01 08:00"), at("2026-12-02 08:00")]
