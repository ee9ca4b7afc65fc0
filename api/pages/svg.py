"""Coordinates of small SVG charts."""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 100.0, 24.0  # of a sparkline, in its own units
MARGIN = 3.0  # above and below the line, for its dots
MIN_SPAN = 0.02  # of the vertical scale: noise of a tenth of a percent must not fill the height


class Sparkline(NamedTuple):
    """Line of values, with a gap for each missing one."""

    path: str
    dots: Sequence[tuple[float, float]]  # the last value, and those without neighbors, which have no line
    gaps: Sequence[float]  # x coordinates


def sparkline(values: Sequence[float | None]) -> Sparkline:
    """Return the line of values at equal distances, the oldest first."""
    present = [value for value in values if value is not None]
    low, high = (min(present), max(present)) if present else (0.0, 1.0)
    middle, span = (low + high) / 2, max(high - low, MIN_SPAN)
    step = WIDTH / max(1, len(values))

    def x(index: int) -> float:
        return round((index + 0.5) * step, 1)

    def y(value: float) -> float:
        return round(HEIGHT / 2 - (value - middle) / span * (HEIGHT - 2 * MARGIN), 1)

    path, dots, gaps = [], [], []
    for index, value in enumerate(values):
        if value is None:
            gaps.append(x(index))
            continue
        has_previous = index > 0 and values[index - 1] is not None
        path.append(f"{'L' if has_previous else 'M'}{x(index):g} {y(value):g}")
        is_last = index == len(values) - 1
        if is_last or not (has_previous or values[index + 1] is not None):
            dots.append((x(index), y(value)))
    return Sparkline("".join(path), dots, gaps)


class Bar(NamedTuple):
    """Bar of a histogram."""

    x: int
    height: float  # in percent
    value: int


def bars(values: Sequence[int]) -> Sequence[Bar]:
    """Return the bars of the values that are not 0; each has a visible height, however high the others are."""
    maximum = max(values, default=0)
    return [Bar(x, round(max(4.0, 100 * value / maximum), 1), value) for x, value in enumerate(values) if value]
