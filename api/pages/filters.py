"""Template filters: numbers, timestamps and labels as text."""

import json
from datetime import UTC, datetime

from flask import Flask

from core.cron.time_zones import InvalidTimeZone, zone
from core.metrics.confusion_matrix import Label
from core.timestamps import iso


def register(app: Flask) -> None:
    """Register the filters."""
    for template_filter in (percent, percentage_points, number, duration, local_time, utc, utc_time, label_text, iso):
        app.add_template_filter(template_filter)


def percent(fraction: float | None) -> str:
    """Return a fraction as a percentage; one that is not exactly 0 or 1 is not rounded to it."""
    if fraction is None:
        return "–"
    percentage = 100 * fraction
    if fraction not in (0, 1):
        percentage = min(99.9, max(0.1, percentage))
    return f"{percentage:.1f} %"


def percentage_points(difference: float) -> str:
    """Return a difference of two fractions in percentage points."""
    rounded = round(100 * difference, 1)
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else '±'}{abs(rounded):.1f}"


def number(count: int) -> str:
    """Return an integer with thin spaces between the thousands."""
    return f"{count:,}".replace(",", "\u202f")


def duration(seconds: float | None) -> str:
    """Return a duration, such as 6 ms, 1.2 s or 3 min."""
    if seconds is None:
        return "–"
    if seconds < 1:
        return f"{1000 * seconds:.0f} ms"
    if seconds < 100:
        return f"{seconds:.1f} s"
    minutes = seconds / 60
    return f"{minutes:.0f} min" if minutes < 100 else f"{minutes / 60:.0f} h"


def local_time(timestamp: datetime, timezone: str = "UTC") -> str:
    """Return a timestamp in a time zone and in UTC; in UTC only if the zone is invalid."""
    at = timestamp.astimezone(UTC)
    in_utc = f"{at:%a %d %b %Y, %H:%M:%S} UTC"
    try:
        local = timestamp.astimezone(zone(timezone))
    except (InvalidTimeZone, OverflowError):  # it bypassed the validation trigger; after the year 9999 there
        return in_utc
    return in_utc if timezone == "UTC" else f"{local:%a %d %b %Y, %H:%M:%S} {timezone} ({at:%H:%M} UTC)"


def utc(timestamp: datetime) -> str:
    """Return a timestamp in UTC, to the second."""
    return f"{timestamp.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def utc_time(timestamp: datetime, now: datetime) -> str:
    """Return a timestamp in UTC, to the second; with its date unless that is today."""
    at = timestamp.astimezone(UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.astimezone(UTC).date() else utc(timestamp)


def label_text(value: Label | None) -> str:
    """Return a label of a confusion matrix; None is the row or column of all labels without their own."""
    if value is None:
        return "others"
    return value if isinstance(value, str) else json.dumps(value)
