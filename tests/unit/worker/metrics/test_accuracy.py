"""The accuracy of labels, and the reasons why there is none."""

import json
import random
from collections import Counter
from typing import Any

import pytest
from sklearn.metrics import accuracy_score, confusion_matrix

from core.metrics.confusion_matrix import MAX_LABEL_LENGTH, MAX_LABELS, ConfusionMatrix
from worker.metrics.accuracy import InvalidLabels, score


def confusion(y_true: list[Any], y_pred: list[Any]) -> ConfusionMatrix:
    found = score(json.dumps(y_true), json.dumps(y_pred)).confusion
    assert found is not None
    return found


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
def test_it_is_that_of_scikit_learn(y_true: list[Any], y_pred: list[Any]) -> None:
    assert score(json.dumps(y_true), json.dumps(y_pred))[:2] == (accuracy_score(y_true, y_pred), len(y_true))


def test_large_integers_stay_exact() -> None:
    assert score("[9007199254740993, 18446744073709551617]", "[9007199254740992, 18446744073709551617]")[:2] == (0.5, 2)


@pytest.mark.parametrize("number", [2**53, 2**63, 2**64, -(2**63) - 2, 10**30])
def test_integers_next_to_each_other_are_different_labels(number: int) -> None:
    y_true, y_pred = [number, number + 1], [number, number]

    assert score(str(y_true), str(y_pred))[:2] == (0.5, 2)
    assert confusion(y_true, y_pred) == ([number, number + 1], [[1, 0], [1, 0]])


@pytest.mark.parametrize("label", ['"\\ud800"', '"\\udfff\\ud800"', "9" * 4000, '"\\u0000"'])
def test_a_label_may_be_whatever_json_takes(label: str) -> None:
    assert score(f"[{label}, {label}]", f"[{label}, {label[:-1]}1{label[-1]}]")[:2] == (0.5, 2)


@pytest.mark.parametrize("labels", [[1, 2, 3], ["a", "b"], [True, False], [2**70, 1, 2.0]])
def test_many_labels_are_scored_like_few(labels: list[Any]) -> None:
    """Long texts are read in another way."""
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
def test_the_confusion_is_that_of_scikit_learn(labels: list[Any], samples: int) -> None:
    chance = random.Random(samples)
    y_true, y_pred = (chance.choices(labels, k=samples) for _ in range(2))

    seen = sorted({*y_true, *y_pred})
    assert confusion(y_true, y_pred) == (seen, confusion_matrix(y_true, y_pred, labels=seen).tolist())


@pytest.mark.parametrize("distinct", [MAX_LABELS + 1, 300])
def test_of_many_labels_the_most_frequent_stand_alone(distinct: int) -> None:
    chance = random.Random(distinct)
    weights = [1 / (1 + label) for label in range(distinct)]
    y_true, y_pred = (chance.choices(range(distinct), weights, k=5000) for _ in range(2))

    labels, counts = confusion(y_true, y_pred)

    frequent = [label for label, _ in Counter(y_true + y_pred).most_common(MAX_LABELS - 1)]
    assert labels == [*sorted(frequent), None]
    together = [[label if label in frequent else distinct for label in side] for side in (y_true, y_pred)]
    assert counts == confusion_matrix(*together, labels=[*sorted(frequent), distinct]).tolist()


def test_a_matrix_of_very_many_labels_is_no_larger() -> None:
    y_true = list(range(100_000))

    labels, counts = confusion(y_true, y_true[::-1])

    assert labels == [*range(MAX_LABELS - 1), None]
    assert sum(map(sum, counts)) == 100_000


def test_whole_numbers_are_the_same_label_however_they_are_written() -> None:
    assert confusion([1.0, 2, 1], [1, 2.0, 2]) == ([1, 2], [[1, 1], [0, 1]])


@pytest.mark.parametrize("label", ["x" * 100, 10**100])
def test_a_long_label_is_cut(label: Any) -> None:
    [shown], counts = confusion([label], [label])

    assert shown == str(label)[: MAX_LABEL_LENGTH - 1] + "…"
    assert counts == [[1]]


def test_a_label_that_is_just_not_too_long_stays_as_it_is() -> None:
    assert confusion(["x" * MAX_LABEL_LENGTH], ["x" * MAX_LABEL_LENGTH]).labels == ["x" * MAX_LABEL_LENGTH]


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
def test_it_says_why_there_is_none(y_true: str, y_pred: str, reason: str) -> None:
    with pytest.raises(InvalidLabels) as refusal:
        score(y_true, y_pred)

    assert str(refusal.value) == reason
