"""Messages as they lie in the queue, where anybody may put anything."""

import json
from typing import Any

from worker import messages


class Foreign(ValueError):
    """No message of our task."""


def read(item: bytes) -> dict[str, Any]:
    """Return a message of our task with what we need of it, and nothing else that Celery would act upon.

    A message that is due in years, or has a time limit that is none, would keep a worker busy for ever.
    Raises Foreign for anything else.
    """
    try:
        return _ours(json.loads(item))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Foreign(repr(error)) from error


def _ours(message: Any) -> dict[str, Any]:
    headers, properties = message["headers"], message["properties"]
    tag, number = _ascii(properties["delivery_tag"]), _ascii(headers["id"])
    if headers["task"] != messages.CALCULATE or message["content-type"] != "application/json":
        raise ValueError(headers["task"])
    return {
        "body": message["body"],
        "content-encoding": "utf-8",
        "content-type": message["content-type"],
        "headers": {
            "lang": "py",
            "task": messages.CALCULATE,
            "id": number,
            "root_id": number,
            messages.QUEUED_AT_HEADER: headers.get(messages.QUEUED_AT_HEADER),
        },
        "properties": {
            "correlation_id": number,
            "delivery_tag": tag,
            "delivery_mode": 2,
            "delivery_info": {
                "exchange": "",
                "routing_key": messages.QUEUE,
                "redelivered": properties["delivery_info"].get("redelivered") is True,
            },
            "priority": 0,
            "body_encoding": "base64",
        },
    }


def _ascii(text: str) -> str:
    text.encode("ascii")  # Redis and Celery could not write anything else
    return text
