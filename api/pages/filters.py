"""Figures and instants as the pages write them."""

import json
from datetime import UTC, datetime

from flask import Flask

from core.cron.time_zones import InvalidTimeZone, zone
from core.metrics.confusion_matrix import Label
from core.timestamps import iso


def register(app: Flask) -> None:
    """Make the words known to the templates, as filters."""
    for word in (percent, points, number, duration, exact, utc, clock, label, iso):
        app.add_template_filter(word)


def percent(fraction: float | None) -> str:
    """Return a fraction as a percentage; what is not quite 0 or 1 does not look as if it were."""
    if fraction is None:
        return "–"
    shown = 100 * fraction
    if fraction not in (0, 1):
        shown = min(99.9, max(0.1, shown))
    return f"{shown:.1f} %"


def points(difference: float) -> str:
    """Return a difference of two fractions, in points of a percent."""
    rounded = round(100 * difference, 1)
    return f"{'+' if rounded > 0 else '−' if rounded < 0 else '±'}{abs(rounded):.1f}"


def number(count: int) -> str:
    """Return a whole number with thin spaces between the thousands."""
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


def exact(instant: datetime, timezone: str = "UTC") -> str:
    """Return an instant on the clock of a zone, with the zone, and in UTC."""
    at = instant.astimezone(UTC)
    shown = f"{at:%a %d %b %Y, %H:%M:%S} UTC"
    try:
        local = instant.astimezone(zone(timezone))
    except (InvalidTimeZone, OverflowError):  # past the gate; past the year 9999 there
        return shown
    return shown if timezone == "UTC" else f"{local:%a %d %b %Y, %H:%M:%S} {timezone} ({at:%H:%M} UTC)"


def utc(instant: datetime) -> str:
    """Return an instant in UTC, to the second."""
    return f"{instant.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"


def clock(instant: datetime, now: datetime) -> str:
    """Return an instant in UTC, to the second, with the date where that is not today's."""
    at = instant.astimezone(UTC)
    return f"{at:%H:%M:%S} UTC" if at.date() == now.astimezone(UTC).date() else utc(instant)


def label(value: Label | None) -> str:
    """Return a label of a confusion matrix; None stands for those that have no line of their own."""
    if value is None:
        return "others"
    return value if isinstance(value, str) else json.dumps(value)
