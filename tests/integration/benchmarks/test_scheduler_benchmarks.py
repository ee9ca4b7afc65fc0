"""The benchmarks of the scheduler run on a small scale; measuring is for `make bench`."""

import json
from pathlib import Path
from types import ModuleType

import pytest

from benchmarks import fires, scheduler_overhead
from benchmarks.measurements import Measurements, Options


@pytest.mark.parametrize(
    ("module", "count"), [(fires, 9), (scheduler_overhead, 11)], ids=["fires", "scheduler_overhead"]
)
def test_each_measurement_is_written_with_all_its_runs(module: ModuleType, count: int, tmp_path: Path) -> None:
    measurements, options = Measurements(module.__name__), Options(runs=1, scale=0.001, json=tmp_path / "output.json")

    module.benchmark(measurements, options)
    measurements.write(options.json)

    assert len(json.loads(options.json.read_text())["measurements"]) == len(measurements.items) == count
    for item in measurements.items:
        assert len(item.runs) >= options.runs
        assert min(item.runs) >= 0 if item.label.startswith("idle") else min(item.runs) > 0
