"""Fields that response schemas have in common."""

from datetime import datetime, timedelta
from typing import Annotated

from api.contract.fields import CRON, MODEL_ID, json_schema
from core.timestamps import iso

Timestamp = Annotated[
    str, json_schema("A timestamp of RFC 3339, in UTC.", "2026-11-24T12:00:00Z", type="string", format="date-time")
]
ModelId = Annotated[str, json_schema("The model, in lower case.", MODEL_ID, type="string", format="uuid")]
CronExpression = Annotated[str, json_schema("In lower case with single blanks.", CRON, type="string")]
TimeZone = Annotated[str, json_schema("The IANA time zone of the cron expression.", "Europe/Warsaw", type="string")]


def format_timestamp(timestamp: datetime | None) -> str | None:
    """Return a timestamp as the API writes it, or None."""
    return iso(timestamp) if timestamp else None


def to_seconds(duration: timedelta | None) -> float | None:
    """Return a duration in seconds, or None."""
    return None if duration is None else duration.total_seconds()
