"""Replies of Redis about keys to which anyone may have written."""

import logging
from collections.abc import Callable
from typing import Any

import redis

log = logging.getLogger(__name__)


def reply_or_error(call: Callable[[], Any]) -> Any:
    """Return the reply of a command, or the error that Redis replies, as a pipeline does."""
    try:
        return call()
    except redis.ResponseError as error:
        return error


def unless_wrong_type(reply: Any, default: Any) -> Any:
    """Return a reply of Redis; the default if the key has another type, since then it holds no results.

    Raises any other error.
    """
    if not isinstance(reply, Exception):
        return reply
    if isinstance(reply, redis.ResponseError) and "WRONGTYPE" in str(reply):  # scripts put text before it
        log.warning("ignored Redis key of another type than expected")
        return default
    raise reply


def counter(value: bytes | None) -> int:
    """Return a counter; 0 if it is no whole number."""
    return int(value) if value is not None and value.isdigit() else 0
