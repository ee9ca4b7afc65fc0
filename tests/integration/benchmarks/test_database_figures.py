"""The benches of the database still run; what they measure is for `make bench`."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import bulk, newest
from benchmarks.figures import Figures, Wanted


@pytest.mark.parametrize(
    ("module", "scale", "figures_of_it"),
    [(bulk, 0.001, 4 * len(bulk.STATEMENTS) + 3), (newest, 0.002, 7 * len(newest.TABLES) + 2)],
    ids=["bulk", "newest"],
)
def test_it_measures_and_writes(module: ModuleType, scale: float, figures_of_it: int, tmp_path: Path) -> None:
    figures, wanted = Figures(module.__name__), Wanted(runs=1, scale=scale, json=tmp_path / "figures.json")

    module.bench(figures, wanted)
    figures.write(wanted.json)

    assert len(figures.found) == len({figure.what for figure in figures.found}) == figures_of_it
    assert all(figure.median > 0 for figure in figures.found)
    assert len(json.loads(wanted.json.read_text())["figures"]) == figures_of_it
