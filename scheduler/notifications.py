"""Payloads of the channel metrics_executions, to which any role may send."""

import json
import logging
from collections.abc import Iterable
from typing import Any

from core.cron.spec import CronSpec

log = logging.getLogger(__name__)

MAX_LOGGED = 80  # characters of a malformed payload


class MalformedNotification(ValueError):
    """A payload that the validation trigger does not send."""


def announced_specs(payload: str) -> list[CronSpec] | None:
    """Return the cron specs of a notification; None if there are more than a notification can name.

    Raises MalformedNotification. An empty payload, which only wakes the scheduler, announces none.
    """
    if not payload:
        return []
    try:
        pairs: Iterable[Any] | None = json.loads(payload)["pairs"]
        return None if pairs is None else [CronSpec(_text(cron), _text(zone)) for cron, zone in pairs]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise MalformedNotification(f"{payload[:MAX_LOGGED]!r}") from error


def _text(value: Any) -> str:
    """Return a text that PostgreSQL can store. Raises ValueError."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError(value)
    value.encode()  # raises UnicodeEncodeError for half of a surrogate pair
    return value
