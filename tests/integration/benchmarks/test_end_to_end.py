"""The bench of the whole job still runs; what it measures is for `make bench`."""

from pathlib import Path

import pytest

from benchmarks import end_to_end
from benchmarks.measurements import Figures, Wanted


def test_it_measures_the_whole_job(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    figures, wanted = Figures("jobs"), Wanted(runs=1, scale=0.001, json=tmp_path / "jobs.json")

    end_to_end.bench(figures, wanted)

    found = {figure.what: figure.median for figure in figures.found}
    assert found.pop("batches of them that were interrupted or given back") == 0
    assert len(found) == 11
    assert all(figure > 0 for figure in found.values())
    assert "models/s" in capsys.readouterr().out
