"""Accuracy of predicted labels, by scikit-learn. Decides, and does no I/O."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from sklearn.metrics import accuracy_score

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


class CannotBeScored(ValueError):
    """The labels have no accuracy; the message says why."""


class Score(NamedTuple):
    """A fraction between 0 and 1, or none where there is no label, and how many labels there are."""

    accuracy: float | None
    samples: int


def score(y_true: str, y_pred: str) -> Score:
    """Return the accuracy of two JSON arrays of labels, of equal length.

    Labels are strings, booleans or whole numbers, all of one kind: numpy would
    make 1 equal to "1" or to true. Raises CannotBeScored.
    """
    true, predicted = json.loads(y_true), json.loads(y_pred)
    if not true:
        return Score(None, 0)
    kinds = _kind("y_true", true), _kind("y_pred", predicted)
    if kinds[0] != kinds[1]:
        raise CannotBeScored(f"y_true holds {kinds[0]}s and y_pred {kinds[1]}s")
    codes = _codes(true + predicted)
    return Score(float(accuracy_score(codes[: len(true)], codes[len(true) :])), len(true))


def _kind(name: str, labels: Sequence[Any]) -> str:
    """Return of which one kind the labels are."""
    kinds = sorted({KINDS[type(label)] for label in labels})
    if bad := [kind for kind in kinds if kind not in LABELS]:
        position, label = next((at, label) for at, label in enumerate(labels) if KINDS[type(label)] == bad[0])
        raise CannotBeScored(f"{name} holds {_shown(label)} at position {position}, which is no label")
    if len(kinds) > 1:
        raise CannotBeScored(f"{name} mixes {' and '.join(kinds)} labels")
    for position, label in enumerate(labels):
        if isinstance(label, float) and not label.is_integer():
            raise CannotBeScored(f"{name} holds {label!r} at position {position}: continuous numbers have no accuracy")
    return kinds[0]


def _codes(labels: Sequence[Any]) -> np.ndarray[Any, Any]:
    """Return a small number for each distinct label: numpy would round integers beyond 2**53."""
    numbers: dict[Any, int] = {}
    return np.array([numbers.setdefault(label, len(numbers)) for label in labels])


def _shown(label: Any) -> str:
    text = json.dumps(label)
    return text if len(text) <= 20 else text[:20] + "…"
