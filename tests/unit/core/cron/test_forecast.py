"""Forecast of the minutes with occurrences, compared with the occurrences one by one."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.cron.forecast import minutes_with_fires
from core.cron.occurrences import InvalidCron, InvalidTimeZone, next_fire

MINUTES = 60
TRANSITIONS = {  # instants of DST transitions, in UTC
    "Europe/Warsaw": ["2026-03-29T01:00", "2026-10-25T01:00"],
    "Australia/Lord_Howe": ["2026-10-03T15:30", "2026-04-04T15:00"],
    "America/New_York": ["2026-03-08T07:00", "2026-11-01T06:00"],
    "UTC": ["2026-12-31T23:30"],
}
STARTS = [(zone, instant) for zone, instants in TRANSITIONS.items() for instant in instants]


@given(
    minute=st.sampled_from(["0", "30", "0,30", "*/20", "10-50/20", "*"]),
    hour=st.sampled_from(["*", "0-4", "1", "2", "2,3", "*/2"]),
    day=st.sampled_from(["*", "1", "29", "*/2"]),
    weekday=st.sampled_from(["*", "sun", "mon-fri"]),
    transition=st.sampled_from(STARTS),
    minutes_later=st.integers(-400, 400),
)
def test_forecast_of_an_hour_agrees_with_next_fire(
    minute: str, hour: str, day: str, weekday: str, transition: tuple[str, str], minutes_later: int
) -> None:
    expression, (timezone, instant) = f"{minute} {hour} {day} * {weekday}", transition
    start = datetime.fromisoformat(instant).replace(tzinfo=UTC) + timedelta(minutes=minutes_later)

    minutes = minutes_with_fires(expression, timezone, start, MINUTES)

    assert list(minutes) == indexes_one_by_one(expression, timezone, start)


def indexes_one_by_one(expression: str, timezone: str, start: datetime) -> list[int]:
    indexes = []
    due_at = next_fire(expression, timezone, start - timedelta(seconds=1))
    while due_at < start + timedelta(minutes=MINUTES):
        indexes.append((due_at - start) // timedelta(minutes=1))
        due_at = next_fire(expression, timezone, due_at)
    return indexes


def test_forecast_raises_errors_for_invalid_values_past_the_validation_trigger() -> None:
    start = datetime(2026, 11, 24, 12, tzinfo=UTC)

    with pytest.raises(InvalidCron):
        minutes_with_fires("5/15 * * * *", "UTC", start, MINUTES)
    with pytest.raises(InvalidTimeZone):
        minutes_with_fires("* * * * *", "CET", start, MINUTES)
