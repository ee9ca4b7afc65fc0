"""Small drawings, as the coordinates of their SVG."""

from collections.abc import Sequence
from typing import NamedTuple

WIDTH, HEIGHT = 100.0, 24.0  # of a sparkline, in its own units
MARGIN = 3.0  # above and below the line, for its dots
FLATTEST = 0.02  # of the scale: noise of a tenth of a percent is no mountain


class Sparkline(NamedTuple):
    """Figures in their order; a gap where one is missing."""

    path: str  # of the lines
    dots: Sequence[tuple[float, float]]  # the last figure, and those without neighbours, which have no line
    gaps: Sequence[float]  # where, from the left


def sparkline(figures: Sequence[float | None]) -> Sparkline:
    """Return the drawing of figures, at equal distances, the oldest first."""
    known = [figure for figure in figures if figure is not None]
    low, high = (min(known), max(known)) if known else (0.0, 1.0)
    middle, span = (low + high) / 2, max(high - low, FLATTEST)
    step = WIDTH / max(1, len(figures))

    def place(at: int) -> float:
        return round((at + 0.5) * step, 1)

    def height(figure: float) -> float:
        return round(HEIGHT / 2 - (figure - middle) / span * (HEIGHT - 2 * MARGIN), 1)

    path, dots, gaps = [], [], []
    for at, figure in enumerate(figures):
        if figure is None:
            gaps.append(place(at))
            continue
        goes_on = at > 0 and figures[at - 1] is not None
        path.append(f"{'L' if goes_on else 'M'}{place(at):g} {height(figure):g}")
        is_last = at == len(figures) - 1
        if is_last or not (goes_on or figures[at + 1] is not None):
            dots.append((place(at), height(figure)))
    return Sparkline("".join(path), dots, gaps)


class Bar(NamedTuple):
    """One bar of a histogram, in percent of the height."""

    place: int
    height: float
    figure: int


def bars(counts: Sequence[int]) -> Sequence[Bar]:
    """Return the bars of those that are not 0; one can be seen, however much larger others are."""
    largest = max(counts, default=0)
    return [Bar(place, round(max(4.0, 100 * count / largest), 1), count) for place, count in enumerate(counts) if count]
