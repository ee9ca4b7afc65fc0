"""The end-to-end benchmark runs on a small scale; measuring is for `make bench`."""

from pathlib import Path

import pytest

from benchmarks import end_to_end
from benchmarks.measurements import Measurements, Options


def test_end_to_end_measures_the_whole_path(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    measurements = Measurements("end_to_end")
    options = Options(runs=1, scale=0.001, json=tmp_path / "end_to_end.json")

    end_to_end.benchmark(measurements, options)

    medians = {item.label: item.median for item in measurements.items}
    assert medians.pop("batches of them that were interrupted or requeued") == 0
    assert len(medians) == 11
    assert all(median > 0 for median in medians.values())
    assert "models/s" in capsys.readouterr().out
