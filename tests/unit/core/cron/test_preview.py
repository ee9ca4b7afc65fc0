"""Preview of the next occurrences, and of the effect of daylight saving on them."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cron.preview import next_occurrences
from tests.support import cron_model
from tests.support.timestamps import utc


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
def test_preview_marks_occurrence_moved_or_merged_by_dst_transition(
    expression: str, after: str, local: str, effect: str | None, stands_for: list[str]
) -> None:
    zone, _, start = after.partition(" ")

    [occurrence] = next_occurrences(expression, zone, utc(start), 1)

    assert str(occurrence.local) == local
    assert occurrence.at.tzinfo == UTC
    assert occurrence.at == occurrence.local.astimezone(UTC)
    assert occurrence.daylight_saving == effect
    assert [str(time) for time in occurrence.stands_for] == stands_for


@given(
    minute=st.sampled_from(["0", "30", "0,30", "*/20", "10-50/20", "*"]),
    hour=st.sampled_from(["*", "0-4", "1", "2", "2,3", "*/2"]),
    zone=st.sampled_from(
        ["Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Antarctica/Troll", "Africa/Cairo"]
    ),
    hours=st.integers(0, 24 * 365),
)
def test_preview_explains_every_occurrence_at_a_time_that_the_expression_does_not_match(
    minute: str, hour: str, zone: str, hours: int
) -> None:
    expression = f"{minute} {hour} * * *"
    job = cron_model.parse(expression)

    for occurrence in next_occurrences(expression, zone, datetime(2026, 1, 1, tzinfo=UTC) + timedelta(hours=hours), 60):
        stands_for = [local.replace(tzinfo=None) for local in occurrence.stands_for]
        assert all(cron_model.matches(job, local) for local in stands_for)
        assert stands_for or cron_model.matches(job, occurrence.local.replace(tzinfo=None))
        assert not (stands_for and job.wildcard)
        assert stands_for == sorted(stands_for)


def test_preview_returns_as_many_occurrences_as_requested() -> None:
    occurrences = list(next_occurrences("0 9 * * mon-fri", "Europe/Warsaw", utc("2026-11-27 12:00"), 3))

    assert [occurrence.at for occurrence in occurrences] == [
        utc("2026-11-30 08:00"),
        utc("2026-12-01 08:00"),
        utc("2026-12-02 08:00"),
    ]
