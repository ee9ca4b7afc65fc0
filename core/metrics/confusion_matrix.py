"""Confusion matrix of a label row. Without numpy and scikit-learn, so that processes that only show it need neither."""

from typing import NamedTuple

MAX_LABELS = 20
MAX_LABEL_LENGTH = 40  # characters

Label = str | bool | int | float


class ConfusionMatrix(NamedTuple):
    """Counts of predictions; of many labels, the most frequent ones and one row and column for all others."""

    labels: list[Label | None]  # sorted; the last one is None where there are others
    counts: list[list[int]]  # by true label, then by predicted label
