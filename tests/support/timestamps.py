"""Timestamps in tests."""

from datetime import UTC, datetime


def utc(text: str) -> datetime:
    """Return the instant of a time in UTC, such as 2026-11-24 12:00."""
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
