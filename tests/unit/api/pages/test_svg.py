"""Sparklines and histograms."""

import pytest

from api.pages.svg import Bar, bars, sparkline


@pytest.mark.parametrize(
    ("values", "path", "dots", "gaps"),
    [
        ([], "", [], []),
        ([None], "", [], [50.0]),
        ([0.5], "M50 12", [(50.0, 12.0)], []),
        ([0.25, 0.75], "M25 21L75 3", [(75.0, 3.0)], []),
        ([0.5, 0.502], "M25 12.9L75 11.1", [(75.0, 11.1)], []),  # hardly a difference
        ([0.25, None, 0.75, 0.25], "M12.5 21M62.5 3L87.5 21", [(12.5, 21.0), (87.5, 21.0)], [37.5]),
    ],
)
def test_sparkline_has_gap_for_missing_value(
    values: list[float | None], path: str, dots: list[tuple[float, float]], gaps: list[float]
) -> None:
    line = sparkline(values)

    assert (line.path, list(line.dots), list(line.gaps)) == (path, dots, gaps)


def test_low_bars_are_visible() -> None:
    assert bars([0, 1, 1000, 500]) == [Bar(1, 4.0, 1), Bar(2, 100.0, 1000), Bar(3, 50.0, 500)]
    assert list(bars([0, 0])) == []
