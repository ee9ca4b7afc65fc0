"""Mapping of a clock that jumps to real time."""

from datetime import UTC, datetime, timedelta

from tests.chaos.timeline import MINUTE, Jump, Timeline, full_minutes

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def test_full_minutes_exclude_start_and_include_end() -> None:
    assert full_minutes(NOON, NOON + 59 * SECOND) == []
    assert full_minutes(NOON - SECOND, NOON + MINUTE) == [NOON, NOON + MINUTE]


def test_timeline_returns_real_time_across_jumps() -> None:
    to_first_minute, to_second_minute = Jump(NOON + 3 * SECOND, 57 * SECOND), Jump(NOON + 8 * SECOND, 112 * SECOND)
    timeline = Timeline([to_first_minute, to_second_minute])

    assert timeline.real_time(NOON + SECOND) == NOON + SECOND
    assert timeline.real_time(NOON + 30 * SECOND) == NOON + 3 * SECOND  # jumped past
    assert timeline.real_time(NOON + MINUTE) == NOON + 3 * SECOND
    assert timeline.real_time(NOON + MINUTE + SECOND) == NOON + 4 * SECOND
    assert timeline.real_time(NOON + 2 * MINUTE) == NOON + 8 * SECOND
    assert timeline.real_seconds(NOON + MINUTE, NOON + 2 * MINUTE + SECOND) == 6
