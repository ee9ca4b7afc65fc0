"""Numbers, timestamps and labels as the pages show them."""

from datetime import UTC, datetime

import pytest

from api.pages.filters import duration, label_text, local_time, number, percent, percentage_points
from tests.support.databases import MODEL

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (percent(0.95333), "95.3 %"),
        (percent(1.0), "100.0 %"),
        (percent(0.99999), "99.9 %"),
        (percent(0.00001), "0.1 %"),
        (percent(0.0), "0.0 %"),
        (percent(None), "–"),
        (percentage_points(0.0333), "+3.3"),
        (percentage_points(-0.2), "−20.0"),
        (percentage_points(-0.0001), "±0.0"),
        (number(1234567), "1\u202f234\u202f567"),
        (duration(0.0063), "6 ms"),
        (duration(1.25), "1.2 s"),
        (duration(180), "3 min"),
        (duration(90_000), "25 h"),
        (duration(None), "–"),
        (label_text(None), "others"),
        (label_text(True), "true"),
        (label_text("1"), "1"),
        (local_time(NOON), "Tue 24 Nov 2026, 12:00:00 UTC"),
        (local_time(NOON, "Europe/Warsaw"), "Tue 24 Nov 2026, 13:00:00 Europe/Warsaw (12:00 UTC)"),
        (local_time(NOON, MODEL), "Tue 24 Nov 2026, 12:00:00 UTC"),  # no such zone
        (local_time(datetime(9999, 12, 31, 23, tzinfo=UTC), "Asia/Tokyo"), "Fri 31 Dec 9999, 23:00:00 UTC"),
    ],
)
def test_filters_format_values(text: str, expected: str) -> None:
    assert text == expected
