"""Accuracy and confusion matrix of labels, and errors of invalid labels."""

import json
import random
from collections import Counter
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, confusion_matrix

from core.metrics.confusion_matrix import MAX_LABEL_LENGTH, MAX_LABELS, ConfusionMatrix
from worker.metrics.accuracy import InvalidLabels, score


def confusion_of(y_true: list[Any], y_pred: list[Any]) -> ConfusionMatrix:
    matrix = score(json.dumps(y_true), json.dumps(y_pred)).confusion
    assert matrix is not None
    return matrix


@pytest.mark.parametrize(
    ("y_true", "y_pred"),
    [
        ([1, 0, 1, 1], [1, 1, 1, 0]),
        (["cat", "dog", "cat"], ["cat", "cat", "cat"]),
        ([True, False], [True, True]),
        ([1], [1]),
        ([0], [1]),
        ([1.0, 2.0, 3.0], [1, 2, 4]),
        ([-1, 1], [1, 1]),
        ([0, 255, 7], [255, 255, 7]),
        ([256, 255, 0], [0, 255, 0]),
        ([3, 3, 3], [300, 3, 3]),
        ([True, True, False], [False, True, False]),
    ],
)
def test_accuracy_equals_that_of_scikit_learn(y_true: list[Any], y_pred: list[Any]) -> None:
    assert score(json.dumps(y_true), json.dumps(y_pred))[:2] == (accuracy_score(y_true, y_pred), len(y_true))


def test_large_integers_stay_exact() -> None:
    assert score("[9007199254740993, 18446744073709551617]", "[9007199254740992, 18446744073709551617]")[:2] == (0.5, 2)


@pytest.mark.parametrize("number", [2**53, 2**63, 2**64, -(2**63) - 2, 10**30])
def test_consecutive_large_integers_are_different_labels(number: int) -> None:
    y_true, y_pred = [number, number + 1], [number, number]

    assert score(str(y_true), str(y_pred))[:2] == (0.5, 2)
    assert confusion_of(y_true, y_pred) == ([number, number + 1], [[1, 0], [1, 0]])


@pytest.mark.parametrize("label", ['"\\ud800"', '"\\udfff\\ud800"', "9" * 4000, '"\\u0000"'])
def test_label_may_be_any_json_string_or_number(label: str) -> None:
    assert score(f"[{label}, {label}]", f"[{label}, {label[:-1]}1{label[-1]}]")[:2] == (0.5, 2)


@pytest.mark.parametrize("labels", [[1, 2, 3], ["a", "b"], [True, False], [2**70, 1, 2.0]])
def test_many_labels_have_the_same_score_as_few(labels: list[Any]) -> None:
    """Long JSON texts are parsed by other code."""
    few = score(json.dumps(labels), json.dumps(labels[::-1]))

    many = score(json.dumps(labels * 200_000), json.dumps(labels[::-1] * 200_000))

    assert many.accuracy == few.accuracy
    assert many.confusion is not None
    assert few.confusion is not None
    assert many.confusion.labels == few.confusion.labels


def test_strings_are_compared_as_they_are() -> None:
    assert score('["1", "é", "a "]', '["1", "e\\u0301", "a"]')[:2] == (1 / 3, 3)


def test_no_labels_have_no_accuracy() -> None:
    assert score("[]", "[]") == (None, 0, None)


@pytest.mark.parametrize(
    "labels",
    [[False, True], [-1, 0, 10, 2], list(range(MAX_LABELS)), ["b", "a", "B", "é", "", "10", "9"]],
)
@pytest.mark.parametrize("samples", [10, 1000])
def test_confusion_matrix_equals_that_of_scikit_learn(labels: list[Any], samples: int) -> None:
    rng = random.Random(samples)
    y_true, y_pred = (rng.choices(labels, k=samples) for _ in range(2))

    distinct = sorted({*y_true, *y_pred})
    assert confusion_of(y_true, y_pred) == (distinct, confusion_matrix(y_true, y_pred, labels=distinct).tolist())


@pytest.mark.parametrize("distinct", [MAX_LABELS + 1, 300])
def test_confusion_matrix_of_many_labels_groups_all_but_the_most_frequent(distinct: int) -> None:
    rng = random.Random(distinct)
    weights = [1 / (1 + label) for label in range(distinct)]
    y_true, y_pred = (rng.choices(range(distinct), weights, k=5000) for _ in range(2))

    labels, counts = confusion_of(y_true, y_pred)

    frequent = [label for label, _ in Counter(y_true + y_pred).most_common(MAX_LABELS - 1)]
    assert labels == [*sorted(frequent), None]
    grouped = [[label if label in frequent else distinct for label in side] for side in (y_true, y_pred)]
    assert counts == confusion_matrix(*grouped, labels=[*sorted(frequent), distinct]).tolist()


def test_confusion_matrix_of_very_many_labels_has_the_maximum_size() -> None:
    y_true = list(range(100_000))

    labels, counts = confusion_of(y_true, y_true[::-1])

    assert labels == [*range(MAX_LABELS - 1), None]
    assert sum(map(sum, counts)) == 100_000


def test_whole_floats_and_integers_are_the_same_label() -> None:
    assert confusion_of([1.0, 2, 1], [1, 2.0, 2]) == ([1, 2], [[1, 1], [0, 1]])


@pytest.mark.parametrize("label", ["x" * 100, 10**100])
def test_long_label_is_truncated(label: Any) -> None:
    [truncated], counts = confusion_of([label], [label])

    assert truncated == str(label)[: MAX_LABEL_LENGTH - 1] + "…"
    assert counts == [[1]]


def test_label_of_the_maximum_length_is_not_truncated() -> None:
    assert confusion_of(["x" * MAX_LABEL_LENGTH], ["x" * MAX_LABEL_LENGTH]).labels == ["x" * MAX_LABEL_LENGTH]


@pytest.mark.parametrize(
    ("y_true", "y_pred", "reason"),
    [
        ("[1, null]", "[1, 1]", "y_true holds null at position 1, which is no label"),
        ("[1, 1]", "[1, [2]]", "y_pred holds [2] at position 1, which is no label"),
        ('[{"a": 1}]', "[1]", 'y_true holds {"a": 1} at position 0, which is no label'),
        ('[1, "a"]', '["1", "a"]', "y_true mixes number and string labels"),
        ("[1, 0]", '["1", "0"]', "y_true holds numbers and y_pred strings"),
        ("[1, 0]", "[true, false]", "y_true holds numbers and y_pred booleans"),
        ("[1, 0]", "[0.9, 0.1]", "y_pred holds 0.9 at position 0: continuous numbers have no accuracy"),
        ("[1e999]", "[1]", "y_true holds inf at position 0: continuous numbers have no accuracy"),
    ],
)
def test_invalid_labels_raise_an_error_with_the_reason(y_true: str, y_pred: str, reason: str) -> None:
    with pytest.raises(InvalidLabels) as error:
        score(y_true, y_pred)

    assert str(error.value) == reason
