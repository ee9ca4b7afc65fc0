"""The benches of the database still run; what they measure is for `make bench`."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import bulk_writes, label_row_reads
from benchmarks.measurements import Figures, Wanted


@pytest.mark.parametrize(
    ("module", "scale", "figures_of_it"),
    [
        (bulk_writes, 0.001, 4 * len(bulk_writes.STATEMENTS) + 3),
        (label_row_reads, 0.002, 7 * len(label_row_reads.TABLES) + 2),
    ],
    ids=["bulk_writes", "label_row_reads"],
)
def test_it_measures_and_writes(module: ModuleType, scale: float, figures_of_it: int, tmp_path: Path) -> None:
    figures, wanted = Figures(module.__name__), Wanted(runs=1, scale=scale, json=tmp_path / "figures.json")

    module.bench(figures, wanted)
    figures.write(wanted.json)

    assert len(figures.found) == len({figure.what for figure in figures.found}) == figures_of_it
    assert all(figure.median > 0 for figure in figures.found)
    assert len(json.loads(wanted.json.read_text())["figures"]) == figures_of_it
