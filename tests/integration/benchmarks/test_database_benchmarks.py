"""The benchmarks of the database run on a small scale; measuring is for `make bench`."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import bulk_writes, label_row_reads
from benchmarks.measurements import Measurements, Options


@pytest.mark.parametrize(
    ("module", "scale", "count"),
    [
        (bulk_writes, 0.001, 4 * len(bulk_writes.STATEMENTS) + 3),
        (label_row_reads, 0.002, 7 * len(label_row_reads.TABLES) + 2),
    ],
    ids=["bulk_writes", "label_row_reads"],
)
def test_each_measurement_is_positive_and_written(module: ModuleType, scale: float, count: int, tmp_path: Path) -> None:
    measurements, options = Measurements(module.__name__), Options(runs=1, scale=scale, json=tmp_path / "output.json")

    module.benchmark(measurements, options)
    measurements.write(options.json)

    assert len(measurements.items) == len({item.label for item in measurements.items}) == count
    assert all(item.median > 0 for item in measurements.items)
    assert len(json.loads(options.json.read_text())["measurements"]) == count
