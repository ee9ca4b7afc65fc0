"""Encoding of results and confusion matrices as compact JSON."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from core.metrics.confusion_matrix import ConfusionMatrix
from core.results.models import LatestConfusion, Result, Status
from core.timestamps import EPOCH, MICROSECOND, MILLISECOND, epoch_microseconds, epoch_milliseconds

MAX_ERROR_LENGTH = 160  # characters
SCORING_VERSION = 1  # bump when the scoring algorithm changes, so that unchanged label rows are scored again
STATUS_CODES: dict[Status, int] = {"ok": 0, "no_data": 1, "error": 2}
UNCHANGED = 3  # status code: ok, with the metrics of the result before, since the label row is the same
STATUS_NAMES: dict[int, Status] = {code: status for status, code in STATUS_CODES.items()} | {UNCHANGED: "ok"}

# Elements of an encoded result. The scripts rely on the first three, and on the label row being the last.
FIELDS = ("due_at", "lag", "status", "accuracy", "samples", "result_id", "data_timestamp", "error")
ACCURACY = FIELDS.index("accuracy")


class UnreadableResult(ValueError):
    """A value in Redis that is no encoded result."""


def encode_result(result: Result) -> bytes:
    """Return a result in the fewest bytes: milliseconds, status codes, no nulls at the end."""
    elements = [
        epoch_milliseconds(result.due_at),
        (result.calculated_at - result.due_at) // MILLISECOND,
        UNCHANGED if result.unchanged else STATUS_CODES[result.status],
        result.accuracy,
        result.samples,
        result.result_id,
        result.data_timestamp and epoch_microseconds(result.data_timestamp),
        result.error and result.error[:MAX_ERROR_LENGTH],
    ]
    while elements[-1] is None:
        elements.pop()
    return _compact_json(elements)


def decode_result(model_id: str, member: bytes) -> Result:
    """Return the result that encode_result() wrote. Raises UnreadableResult for any other value."""
    try:
        return _decode(model_id, json.loads(member))
    except (ValueError, TypeError, KeyError, OverflowError, RecursionError) as error:
        raise UnreadableResult(f"result of model {model_id} is unreadable: {member[:MAX_ERROR_LENGTH]!r}") from error


def decode_accuracy(member: bytes) -> float | None:
    """Return the accuracy alone, in a tenth of the time of decode_result(); None also for an unreadable result."""
    try:
        accuracy = json.loads(member)[ACCURACY]
    except (ValueError, TypeError, LookupError, RecursionError):
        return None
    return accuracy if isinstance(accuracy, float) and 0 <= accuracy <= 1 else None


def encode_confusion(result: Result) -> bytes:
    """Return due time, confusion matrix and row version of a result; nothing where it has no matrix."""
    if result.confusion is None:
        return b""
    return _compact_json([epoch_milliseconds(result.due_at), *result.confusion, _version(result.row_version)])


def decode_confusion(value: bytes) -> LatestConfusion:
    """Return the matrix that encode_confusion() wrote.

    Raises ValueError, TypeError, OverflowError or RecursionError for any other value.
    """
    due_at, labels, counts, _ = json.loads(value)
    if [len(row) for row in counts] != [len(labels)] * len(labels):
        raise ValueError("the matrix is not square")
    matrix = ConfusionMatrix(labels, [[int(count) for count in row] for row in counts])
    return LatestConfusion(EPOCH + due_at * MILLISECOND, matrix)


def label_row_end(result_id: int, timestamp: datetime) -> str:
    """Return how an encoded result of this label row ends."""
    return f",{result_id},{epoch_microseconds(timestamp)}]"


def version_end(row_version: str) -> str:
    """Return how an encoded confusion matrix of this row version ends."""
    return f',"{_version(row_version)}"]'


def _decode(model_id: str, elements: list[Any]) -> Result:
    padded = elements + [None] * (len(FIELDS) - len(elements))
    due_milliseconds, lag, code, accuracy, samples, result_id, data_microseconds, error = padded
    if accuracy is not None and not 0 <= accuracy <= 1:  # also refuses NaN, which json accepts
        raise ValueError("the accuracy is out of range")
    due_at = EPOCH + due_milliseconds * MILLISECOND
    return Result(
        model_id=model_id,
        due_at=due_at,
        calculated_at=due_at + lag * MILLISECOND,
        status=STATUS_NAMES[code],
        accuracy=None if accuracy is None else float(accuracy),
        samples=int(samples),
        result_id=result_id,
        data_timestamp=None if data_microseconds is None else EPOCH + data_microseconds * MICROSECOND,
        error=error,
        unchanged=code == UNCHANGED,
    )


def _version(row_version: str) -> str:
    return f"{SCORING_VERSION}.{row_version}" if row_version else ""


def _compact_json(elements: Sequence[Any]) -> bytes:
    return json.dumps(elements, separators=(",", ":"), allow_nan=False).encode()
