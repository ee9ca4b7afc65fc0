"""Confusion matrix as a heat map."""

from collections.abc import Sequence
from typing import NamedTuple

MAX_HEAT = 8


class Cell(NamedTuple):
    """Number of samples with one true and one predicted label."""

    samples: int
    heat: int  # from 0 to MAX_HEAT, by its share of the row
    is_correct: bool


def heat_map(counts: Sequence[Sequence[int]]) -> list[list[Cell]]:
    """Return the cells of a matrix, by true label."""
    return [
        [Cell(count, _heat(count, sum(row)), true == predicted) for predicted, count in enumerate(row)]
        for true, row in enumerate(counts)
    ]


def _heat(count: int, total: int) -> int:
    return -(-MAX_HEAT * count // total) if count else 0  # rounded up: any count is visible
