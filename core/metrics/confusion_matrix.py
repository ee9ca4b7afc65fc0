"""Which label was predicted for which. Needs neither numpy nor scikit-learn, so that whoever shows it needs none."""

from typing import NamedTuple

MOST_LABELS = 20
LONGEST_LABEL = 40  # characters

Label = str | bool | int | float


class Confusion(NamedTuple):
    """A confusion matrix; of many labels it has the most frequent, and one more line for all others."""

    labels: list[Label | None]  # in their own order; last, where there are others: None
    counts: list[list[int]]  # by true label, then by predicted label
