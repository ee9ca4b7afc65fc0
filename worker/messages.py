"""What the scheduler sends and the workers run: the task's name, its arguments, its queue."""

import json
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

CALCULATE = "worker.calculate"
QUEUE = "celery"
PUBLISHED = "metrics:published"  # Redis key: the latest moment whose messages were all sent
UNACKED_INDEX = "unacked_index"  # Redis key of kombu: messages that workers have taken and not finished, by when
DUE_AT_HEADER = "due_at"
QUEUED_AT_HEADER = "queued_at"  # when it was sent, by the clock of the whole system

CONNECT_TIMEOUT = 5  # seconds
SOCKET_TIMEOUT = 30  # seconds; longer than Celery's blocking wait for a message


class Message(NamedTuple):
    """A call of the task: the arguments of Celery's send_task."""

    name: str
    kwargs: dict[str, Any]
    headers: dict[str, str]
    queue: str = QUEUE


def calculate(model_ids: Sequence[str], due_at: datetime, *, requested: bool = False, alone: bool = False) -> Message:
    """Ask for the models' results of one moment.

    requested: a user asked for it, so it runs paused schedules too. alone: one
    model of a batch that was interrupted before.
    """
    moment = due_at.astimezone(UTC).isoformat(timespec="milliseconds")
    kwargs = {"model_ids": list(model_ids), "due_at": moment, "requested": requested, "alone": alone}
    return Message(CALCULATE, kwargs, {DUE_AT_HEADER: moment})


def broker_tls(redis_url: str) -> dict[str, ssl.VerifyMode] | None:
    """Return Celery's broker_use_ssl: it would take any certificate where a rediss:// URL names no options."""
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} if redis_url.startswith("rediss://") else None


def due_at_of(raw: bytes) -> datetime | None:
    """Return the moment of a message as it lies in the queue; None where it is not one of ours."""
    try:
        return datetime.fromisoformat(json.loads(raw)["headers"][DUE_AT_HEADER])
    except (ValueError, KeyError, TypeError):
        return None


def queued_at_of(raw: bytes) -> datetime | None:
    """Return when a message that lies in the queue was sent, in UTC; None where it is not one of ours."""
    try:
        queued_at = datetime.fromisoformat(json.loads(raw)["headers"][QUEUED_AT_HEADER])
        return queued_at.astimezone(UTC) if queued_at.tzinfo else None
    except (ValueError, KeyError, TypeError, OverflowError):
        return None
