"""Heat map of the confusion matrix."""

from api.pages.confusion import MAX_HEAT, Cell, heat_map


def test_heat_is_the_share_of_the_row() -> None:
    assert heat_map([[1, 999], [0, 0]]) == [
        [Cell(1, 1, True), Cell(999, MAX_HEAT, False)],
        [Cell(0, 0, False), Cell(0, 0, True)],
    ]
