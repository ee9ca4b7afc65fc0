"""A batch of runs, as the arguments of the Celery task that calculates it."""

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, Self

from core.queue.keys import QUEUE

TASK_NAME = "worker.calculate"
QUEUED_AT_HEADER = "queued_at"  # time of sending, by PostgreSQL's clock
MAX_BATCH_SIZE = 1000  # models in one message; a worker splits a larger one
MIN_YEAR, MAX_YEAR = 1971, 9998  # of a due time; no time zone leads out of datetime's range


class InvalidBatch(ValueError):
    """Arguments that are no batch; the message names the argument and its value."""


class TaskMessage(NamedTuple):
    """A call of the task: the arguments of Celery's send_task."""

    name: str
    kwargs: dict[str, Any]
    headers: dict[str, str]
    queue: str = QUEUE


@dataclass(frozen=True)
class Batch:
    """Models to calculate for one due time."""

    model_ids: Sequence[str]
    due_at: datetime
    requested: bool = False  # by a user, so that paused schedules are calculated too
    isolated: bool = False  # a single model of a batch that failed before; "alone" in the message

    def message(self, queued_at: datetime | None) -> TaskMessage:
        """Return the message that asks for it; queued_at is the time by PostgreSQL's clock, where it is known."""
        headers = {} if queued_at is None else {QUEUED_AT_HEADER: _to_text(queued_at)}
        kwargs = {
            "model_ids": list(self.model_ids),
            "due_at": _to_text(self.due_at),
            "requested": self.requested,
            "alone": self.isolated,
        }
        return TaskMessage(TASK_NAME, kwargs, headers)

    @classmethod
    def from_arguments(cls, arguments: Mapping[str, Any]) -> Self:
        """Return the batch of a message; raises InvalidBatch.

        Unknown arguments are ignored: a scheduler of a later version may send more.
        """
        values = {"requested": False, "alone": False, **arguments}
        model_ids, due_at, requested, alone = (
            values.get(name) for name in ("model_ids", "due_at", "requested", "alone")
        )
        if not isinstance(model_ids, list) or not all(isinstance(model_id, str) for model_id in model_ids):
            raise InvalidBatch(f"model_ids is {model_ids!r:.80}, not a list of UUIDs")
        for name, value in (("requested", requested), ("alone", alone)):
            if not isinstance(value, bool):
                raise InvalidBatch(f"{name} is {value!r:.80}, not true or false")
        if alone and len(model_ids) != 1:
            raise InvalidBatch(f"alone is true, and model_ids holds {len(model_ids)}")
        return cls(
            [_parse_uuid(model_id) for model_id in model_ids], _parse_due_at(due_at), bool(requested), bool(alone)
        )


def queued_at_of(message: bytes) -> datetime | None:
    """Return when a message of the queue was sent, in UTC; None for a message that is not ours."""
    try:
        return parse_queued_at(json.loads(message)["headers"][QUEUED_AT_HEADER])
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def parse_queued_at(header: Any) -> datetime | None:
    """Return the time of a QUEUED_AT_HEADER, in UTC; None if it is none."""
    try:
        instant = datetime.fromisoformat(header)
        return instant.astimezone(UTC) if instant.tzinfo else None
    except (ValueError, TypeError, OverflowError):
        return None


def _to_text(instant: datetime) -> str:
    return instant.astimezone(UTC).isoformat(timespec="milliseconds")


def _parse_uuid(text: str) -> str:
    try:
        return str(uuid.UUID(text))
    except ValueError as error:
        raise InvalidBatch(f"model_ids holds {text!r:.80}, which is no UUID") from error


def _parse_due_at(text: Any) -> datetime:
    try:
        instant = datetime.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise InvalidBatch(f"due_at is {text!r:.80}, not a time such as 2026-11-24T12:00:00.000+00:00") from error
    if instant.tzinfo is None:
        raise InvalidBatch(f"due_at is {text!r}, which has no offset from UTC")
    if not MIN_YEAR <= instant.year <= MAX_YEAR:
        raise InvalidBatch(f"due_at is {text!r}; write a year from {MIN_YEAR} to {MAX_YEAR}")
    return instant
