"""Accuracy of predicted labels, by scikit-learn, and what was taken for what. Decides, and does no I/O."""

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
LABELS = {"string", "boolean", "number"}

LONG = 1_000_000  # characters; of more, orjson would end the process where json says that memory has ended

# It is given two arrays of codes, made here: neither their types nor whether they are finite is to be asked each time.
sklearn.set_config(assume_finite=True, skip_parameter_validation=True)


class CannotBeScored(ValueError):
    """The labels have no accuracy; the message says why."""


class Score(NamedTuple):
    """A fraction between 0 and 1, how many labels there are, and their confusion; None, 0, None without labels."""

    accuracy: float | None
    samples: int
    confusion: ConfusionMatrix | None


def score(y_true: str, y_pred: str) -> Score:
    """Return the accuracy and the confusion of two JSON arrays of labels, of equal length.

    Labels are strings, booleans or whole numbers, all of one kind: numpy would
    make 1 equal to "1" or to true. Raises CannotBeScored.
    """
    (true, types), (predicted, other_types) = _read(y_true), _read(y_pred)
    if not true:
        return Score(None, 0, None)
    kinds = _kind("y_true", true, types), _kind("y_pred", predicted, other_types)
    if kinds[0] != kinds[1]:
        raise CannotBeScored(f"y_true holds {kinds[0]}s and y_pred {kinds[1]}s")
    labels, codes = _codes(true + predicted)
    sides = codes[: len(true)], codes[len(true) :]
    return Score(float(accuracy_score(*sides)), len(true), _confusion(labels, *sides))


def _read(text: str) -> tuple[list[Any], set[type]]:
    """Return the labels of a JSON array, and their types. orjson takes a fifth of json's time, but not all of JSON."""
    labels = _read_quickly(text) if len(text) <= LONG else json.loads(text)
    types = set(map(type, labels))
    if float in types:  # which orjson makes of integers beyond 64 bits as well
        labels = json.loads(text)
        types = set(map(type, labels))
    return labels, types


def _read_quickly(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:  # half of a surrogate pair, a number of thousands of digits
        return json.loads(text)


def _kind(name: str, labels: Sequence[Any], types: set[type]) -> str:
    """Return of which one kind the labels are."""
    kinds = sorted({KINDS[each] for each in types})
    if bad := [kind for kind in kinds if kind not in LABELS]:
        position, label = next((at, label) for at, label in enumerate(labels) if KINDS[type(label)] == bad[0])
        raise CannotBeScored(f"{name} holds {_shown(label)} at position {position}, which is no label")
    if len(kinds) > 1:
        raise CannotBeScored(f"{name} mixes {' and '.join(kinds)} labels")
    if float in types:
        for position, label in enumerate(labels):
            if isinstance(label, float) and not label.is_integer():
                message = f"{name} holds {label!r} at position {position}: continuous numbers have no accuracy"
                raise CannotBeScored(message)
    return kinds[0]


def _codes(labels: Sequence[Any]) -> tuple[list[Label], np.ndarray[Any, Any]]:
    """Return the distinct labels of one kind, and the place among them of each."""
    if type(labels[0]) is int:
        # The usual labels, numbers up to 255, are quick to count as bytes.
        with suppress(ValueError, TypeError):
            numbers = np.frombuffer(bytes(labels), np.uint8)
            [present] = np.bincount(numbers).nonzero()
            return list(present.tolist()), present.searchsorted(numbers)
    # By a dictionary: numpy would round integers beyond 2**53.
    distinct = list(dict.fromkeys(labels))
    places = {label: place for place, label in enumerate(distinct)}
    return distinct, np.fromiter(map(places.__getitem__, labels), np.intp, len(labels))


def _confusion(labels: Sequence[Any], true: np.ndarray[Any, Any], predicted: np.ndarray[Any, Any]) -> ConfusionMatrix:
    """Count the pairs of codes; those of rare labels together, since a million labels would be too large a matrix."""
    kept = list(range(len(labels)))
    if len(labels) > MAX_LABELS:
        occurrences = np.bincount(np.concatenate((true, predicted)))
        kept = np.argsort(-occurrences, kind="stable")[: MAX_LABELS - 1].tolist()
    kept.sort(key=labels.__getitem__)
    shown = [_cut(labels[code]) for code in kept] + [None] * (len(kept) < len(labels))
    size = len(shown)
    lines = np.full(len(labels), size - 1)
    lines[kept] = range(len(kept))
    counts = np.bincount(lines[true] * size + lines[predicted], minlength=size * size)
    return ConfusionMatrix(shown, counts.reshape(size, size).tolist())


def _cut(label: Label) -> Label:
    """Return a label, or where it is long, and be it a number of a thousand digits, its beginning."""
    text = str(label)
    return label if len(text) <= MAX_LABEL_LENGTH else text[: MAX_LABEL_LENGTH - 1] + "…"


def _shown(label: Any) -> str:
    text = json.dumps(label)
    return text if len(text) <= 20 else text[:20] + "…"
