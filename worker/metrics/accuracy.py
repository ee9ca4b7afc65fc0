"""Accuracy and confusion matrix of predicted labels, by scikit-learn. Pure: does no I/O."""

import json
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import numpy as np
import orjson
import sklearn
from sklearn.metrics import accuracy_score

from core.metrics.confusion_matrix import MAX_LABEL_LENGTH, MAX_LABELS, ConfusionMatrix, Label

KINDS = {
    str: "string",
    bool: "boolean",
    int: "number",
    float: "number",
    type(None): "null",
    list: "array",
    dict: "object",
}
LABEL_KINDS = {"string", "boolean", "number"}

MAX_ORJSON_LENGTH = 1_000_000  # characters; out of memory, orjson ends the process where json raises MemoryError

# The arguments are always two arrays of codes, made here: validating them each time is superfluous.
sklearn.set_config(assume_finite=True, skip_parameter_validation=True)


class InvalidLabels(ValueError):
    """The labels have no accuracy; the message has the reason."""


class Score(NamedTuple):
    """The metrics of a label row; None, 0, None without labels."""

    accuracy: float | None  # from 0 to 1
    samples: int  # number of labels
    confusion: ConfusionMatrix | None


def score(y_true: str, y_pred: str) -> Score:
    """Return the accuracy and the confusion matrix of two JSON arrays of labels, of equal length.

    Labels are strings, booleans or whole numbers, all of one kind: numpy would make 1 equal to "1" or to true. Raises
    InvalidLabels.
    """
    (true, true_types), (predicted, predicted_types) = _parse(y_true), _parse(y_pred)
    if not true:
        return Score(None, 0, None)
    true_kind, predicted_kind = _kind("y_true", true, true_types), _kind("y_pred", predicted, predicted_types)
    if true_kind != predicted_kind:
        raise InvalidLabels(f"y_true holds {true_kind}s and y_pred {predicted_kind}s")
    labels, codes = _encode(true + predicted)
    true_codes, predicted_codes = codes[: len(true)], codes[len(true) :]
    accuracy = float(accuracy_score(true_codes, predicted_codes))
    return Score(accuracy, len(true), _confusion_matrix(labels, true_codes, predicted_codes))


def _parse(text: str) -> tuple[list[Any], set[type]]:
    """Return the labels of a JSON array, and their types. orjson needs a fifth of the time, but rejects some JSON."""
    labels = _parse_fast(text) if len(text) <= MAX_ORJSON_LENGTH else json.loads(text)
    types = set(map(type, labels))
    if float in types:  # also of integers beyond 64 bits, which orjson parses as float
        labels = json.loads(text)
        types = set(map(type, labels))
    return labels, types


def _parse_fast(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # a lone surrogate, a number of thousands of digits
        return json.loads(text)


def _kind(name: str, labels: Sequence[Any], types: set[type]) -> str:
    """Return the kind of the labels; raises InvalidLabels where it is not one."""
    kinds = sorted({KINDS[label_type] for label_type in types})
    if invalid := [kind for kind in kinds if kind not in LABEL_KINDS]:
        position, label = next((index, label) for index, label in enumerate(labels) if KINDS[type(label)] == invalid[0])
        raise InvalidLabels(f"{name} holds {_quoted(label)} at position {position}, which is no label")
    if len(kinds) > 1:
        raise InvalidLabels(f"{name} mixes {' and '.join(kinds)} labels")
    if float in types:
        for position, label in enumerate(labels):
            if isinstance(label, float) and not label.is_integer():
                message = f"{name} holds {label!r} at position {position}: continuous numbers have no accuracy"
                raise InvalidLabels(message)
    return kinds[0]


def _encode(labels: Sequence[Any]) -> tuple[list[Label], np.ndarray[Any, Any]]:
    """Return the distinct labels of one kind, and the index among them of each."""
    if type(labels[0]) is int:
        # The usual labels, numbers up to 255, are counted fast as bytes.
        with suppress(ValueError, TypeError):
            numbers = np.frombuffer(bytes(labels), np.uint8)
            [present] = np.bincount(numbers).nonzero()
            return list(present.tolist()), present.searchsorted(numbers)
    # By a dictionary: numpy would round integers beyond 2**53.
    distinct = list(dict.fromkeys(labels))
    indexes = {label: index for index, label in enumerate(distinct)}
    return distinct, np.fromiter(map(indexes.__getitem__, labels), np.intp, len(labels))


def _confusion_matrix(
    labels: Sequence[Any], true: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]
) -> ConfusionMatrix:
    """Count the pairs of codes; rare labels share a row and a column, else a million labels were too many."""
    kept = list(range(len(labels)))
    if len(labels) > MAX_LABELS:
        occurrences = np.bincount(np.concatenate((true, predicted)))
        kept = np.argsort(-occurrences, kind="stable")[: MAX_LABELS - 1].tolist()
    kept.sort(key=labels.__getitem__)
    names = [_truncate(labels[code]) for code in kept] + [None] * (len(kept) < len(labels))
    size = len(names)
    rows = np.full(len(labels), size - 1)  # of each code
    rows[kept] = range(len(kept))
    counts = np.bincount(rows[true] * size + rows[predicted], minlength=size * size)
    return ConfusionMatrix(names, counts.reshape(size, size).tolist())


def _truncate(label: Label) -> Label:
    """Return a label; of one longer than MAX_LABEL_LENGTH, which may be a number, its beginning."""
    text = str(label)
    return label if len(text) <= MAX_LABEL_LENGTH else text[: MAX_LABEL_LENGTH - 1] + "…"


def _quoted(label: Any) -> str:
    text = json.dumps(label)
    return text if len(text) <= 20 else text[:20] + "…"
