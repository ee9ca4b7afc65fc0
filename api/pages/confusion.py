"""The confusion matrix as a table whose cells are the darker, the more often a label was taken for another."""

from collections.abc import Sequence
from typing import NamedTuple

DARKEST = 8


class Cell(NamedTuple):
    """How often a label was predicted for another one, or for itself."""

    times: int
    heat: int  # from 0 to DARKEST, for its share of the row
    right: bool


def heat(counts: Sequence[Sequence[int]]) -> list[list[Cell]]:
    """Return the cells of a matrix, by true label."""
    return [
        [Cell(count, _darkness(count, sum(row)), true == predicted) for predicted, count in enumerate(row)]
        for true, row in enumerate(counts)
    ]


def _darkness(count: int, total: int) -> int:
    """What is there at all can be seen."""
    return -(-DARKEST * count // total) if count else 0
