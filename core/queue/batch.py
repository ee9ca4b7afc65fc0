"""What the scheduler sends and the workers run: the task's name, its arguments, its queue."""

import json
import ssl
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

CALCULATE = "worker.calculate"
QUEUE = "celery"
TAKEN = "celery:taken"  # Redis list: taken from the queue, and noted as such within the same millisecond
PUBLISHED = "metrics:published"  # Redis key: when the last message was sent, as far as Redis remembers
UNACKED = "unacked"  # Redis key of kombu: the messages that workers have taken and not finished
UNACKED_INDEX = "unacked_index"  # Redis key of kombu: messages that workers have taken and not finished, by when
QUEUED_AT_HEADER = "queued_at"  # when it was sent, by the clock of the whole system
LARGEST_BATCH = 1000  # models in one message; a worker takes a longer one apart

EARLIEST_YEAR, LATEST_YEAR = 1971, 9998  # of a moment; no time zone leads out of what Python counts

PATIENCE = 5  # seconds; to connect to Redis, and for each answer


class Malformed(ValueError):
    """Arguments that nobody can run; the message says which and why."""


class Message(NamedTuple):
    """A call of the task: the arguments of Celery's send_task."""

    name: str
    kwargs: dict[str, Any]
    headers: dict[str, str]
    queue: str = QUEUE


@dataclass(frozen=True)
class Batch:
    """Models whose results of one moment are wanted."""

    model_ids: Sequence[str]
    due_at: datetime
    requested: bool = False  # by a user, so it runs paused schedules too
    alone: bool = False  # one model of a batch that was interrupted before

    def message(self, queued_at: datetime | None) -> Message:
        """Ask for it; queued_at is the time by the clock of the whole system, where that is known."""
        headers = {} if queued_at is None else {QUEUED_AT_HEADER: _moment(queued_at)}
        kwargs = {
            "model_ids": list(self.model_ids),
            "due_at": _moment(self.due_at),
            "requested": self.requested,
            "alone": self.alone,
        }
        return Message(CALCULATE, kwargs, headers)

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Self:
        """Return what a message asks for; raises Malformed.

        An argument that is not known is ignored: a scheduler of a later version may send some more.
        """
        fields = {"requested": False, "alone": False, **arguments}
        model_ids, due_at, requested, alone = (
            fields.get(name) for name in ("model_ids", "due_at", "requested", "alone")
        )
        if not isinstance(model_ids, list) or not all(isinstance(model_id, str) for model_id in model_ids):
            raise Malformed(f"model_ids is {model_ids!r:.80}, not a list of UUIDs")
        for name, switch in (("requested", requested), ("alone", alone)):
            if not isinstance(switch, bool):
                raise Malformed(f"{name} is {switch!r:.80}, not true or false")
        if alone and len(model_ids) != 1:
            raise Malformed(f"alone is true, and model_ids holds {len(model_ids)}")
        return cls([_uuid(model_id) for model_id in model_ids], _instant(due_at), bool(requested), bool(alone))


def queued_at_of(raw: bytes) -> datetime | None:
    """Return when a message that lies in the queue was sent, in UTC; None where it is not one of ours."""
    try:
        return queued_at(json.loads(raw)["headers"][QUEUED_AT_HEADER])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def queued_at(text: Any) -> datetime | None:
    """Return the time that the header says, in UTC; None where it says none."""
    try:
        instant = datetime.fromisoformat(text)
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None


def broker_tls(redis_url: str) -> dict[str, ssl.VerifyMode] | None:
    """Return Celery's broker_use_ssl: it would take any certificate where a rediss:// URL names no options."""
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} if redis_url.startswith("rediss://") else None


def _moment(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")


def _uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise Malformed(f"model_ids holds {text!r:.80}, which is no UUID") from error


def _instant(text: Any) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise Malformed(f"due_at is {text!r:.80}, not a time such as 2026-11-24T12:00:00.000+00:00") from error
    if instant.tzinfo is None:
        raise Malformed(f"due_at is {text!r}, which has no offset from UTC")
    if not EARLIEST_YEAR <= instant.year <= LATEST_YEAR:
        raise Malformed(f"due_at is {text!r}; write a year from {EARLIEST_YEAR} to {LATEST_YEAR}")
    return instant
