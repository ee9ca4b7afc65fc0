"""Timestamps: aware datetimes as text and as integers, without rounding."""

from datetime import UTC, datetime, timedelta

MICROSECOND = timedelta(microseconds=1)
MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def epoch_milliseconds(instant: datetime) -> int:
    """Return an instant in full milliseconds since 1970, exactly: timestamp() is a float."""
    return (instant - EPOCH) // MILLISECOND


def epoch_microseconds(instant: datetime) -> int:
    """Return an instant in microseconds since 1970, exactly."""
    return (instant - EPOCH) // MICROSECOND


def iso(instant: datetime, timespec: str = "auto") -> str:
    """Return an instant as the API writes it: UTC, with a Z."""
    return instant.astimezone(UTC).isoformat(timespec=timespec).replace("+00:00", "Z")
