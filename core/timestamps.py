"""Timestamps: aware datetimes as text and as integers, without rounding."""

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)


def iso(instant: datetime, timespec: str = "auto") -> str:
    """Return an instant in ISO 8601 as the API writes it: UTC, with a Z."""
    return instant.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")


def epoch_milliseconds(instant: datetime) -> int:
    """Return the full milliseconds from 1970 to an instant, exactly: timestamp() is a float."""
    return (instant - EPOCH) // MILLISECOND


def epoch_microseconds(instant: datetime) -> int:
    """Return the microseconds from 1970 to an instant, exactly."""
    return (instant - EPOCH) // MICROSECOND
