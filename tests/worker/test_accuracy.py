"""The accuracy of labels, and the reasons why there is none."""

import json
from typing import Any

import pytest
from sklearn.metrics import accuracy_score

from worker.accuracy import CannotBeScored, Score, score


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
    ],
)
def test_it_is_that_of_scikit_learn(y_true: list[Any], y_pred: list[Any]) -> None:
    assert score(json.dumps(y_true), json.dumps(y_pred)) == Score(accuracy_score(y_true, y_pred), len(y_true))


def test_large_integers_stay_exact() -> None:
    assert score("[9007199254740993, 18446744073709551617]", "[9007199254740992, 18446744073709551617]") == (0.5, 2)


def test_strings_are_compared_as_they_are() -> None:
    assert score('["1", "é", "a "]', '["1", "e\\u0301", "a"]') == (1 / 3, 3)


def test_no_labels_have_no_accuracy() -> None:
    assert score("[]", "[]") == (None, 0)


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
    with pytest.raises(CannotBeScored) as refusal:
        score(y_true, y_pred)

    assert str(refusal.value) == reason
