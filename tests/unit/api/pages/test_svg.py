"""Small drawings, and figures in words."""

import pytest

from api.pages.confusion import DARKEST, heat
from api.pages.filters import duration, exact, label, number, percent, points
from api.pages.svg import bars, sparkline
from tests.support.databases import MODEL
from tests.support.timestamps import utc


@pytest.mark.parametrize(
    ("figures", "path", "dots", "gaps"),
    [
        ([], "", [], []),
        ([None], "", [], [50.0]),
        ([0.5], "M50 12", [(50.0, 12.0)], []),
        ([0.25, 0.75], "M25 21L75 3", [(75.0, 3.0)], []),
        ([0.5, 0.502], "M25 12.9L75 11.1", [(75.0, 11.1)], []),  # hardly a difference
        ([0.25, None, 0.75, 0.25], "M12.5 21M62.5 3L87.5 21", [(12.5, 21.0), (87.5, 21.0)], [37.5]),
    ],
)
def test_a_sparkline_has_a_gap_where_a_figure_is_missing(
    figures: list[float | None], path: str, dots: list[tuple[float, float]], gaps: list[float]
) -> None:
    drawn = sparkline(figures)

    assert (drawn.path, list(drawn.dots), list(drawn.gaps)) == (path, dots, gaps)


def test_bars_that_are_there_can_be_seen() -> None:
    assert [(bar.place, bar.height, bar.figure) for bar in bars([0, 1, 1000, 500])] == [
        (1, 4.0, 1),
        (2, 100.0, 1000),
        (3, 50.0, 500),
    ]
    assert list(bars([0, 0])) == []


def test_a_cell_is_the_darker_the_more_it_has_of_its_row() -> None:
    cells = heat([[1, 999], [0, 0]])

    assert [(cell.times, cell.heat, cell.right) for cell in cells[0]] == [(1, 1, True), (999, DARKEST, False)]
    assert [(cell.times, cell.heat, cell.right) for cell in cells[1]] == [(0, 0, False), (0, 0, True)]


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (percent(0.95333), "95.3 %"),
        (percent(1.0), "100.0 %"),
        (percent(0.99999), "99.9 %"),
        (percent(0.00001), "0.1 %"),
        (percent(0.0), "0.0 %"),
        (percent(None), "–"),
        (points(0.0333), "+3.3"),
        (points(-0.2), "−20.0"),
        (points(-0.0001), "±0.0"),
        (number(1234567), "1\u202f234\u202f567"),
        (duration(0.0063), "6 ms"),
        (duration(1.25), "1.2 s"),
        (duration(180), "3 min"),
        (duration(90_000), "25 h"),
        (duration(None), "–"),
        (label(None), "others"),
        (label(True), "true"),
        (label("1"), "1"),
        (exact(utc("2026-11-24 12:00")), "Tue 24 Nov 2026, 12:00:00 UTC"),
        (exact(utc("2026-11-24 12:00"), "Europe/Warsaw"), "Tue 24 Nov 2026, 13:00:00 Europe/Warsaw (12:00 UTC)"),
        (exact(utc("2026-11-24 12:00"), MODEL), "Tue 24 Nov 2026, 12:00:00 UTC"),  # no such zone
        (exact(utc("9999-12-31 23:00"), "Asia/Tokyo"), "Fri 31 Dec 9999, 23:00:00 UTC"),
    ],
)
def test_words(written: str, expected: str) -> None:
    assert written == expected
