"""The benches still run, on a small scale; what they measure is for `make bench`."""

import json
from pathlib import Path

from benchmarks import fires, scheduler_overhead
from benchmarks.measurements import Figures, Wanted


def check(figures: Figures, wanted: Wanted, count: int) -> None:
    written = json.loads(wanted.json.read_text())["figures"]
    assert len(written) == len(figures.found) == count
    for figure in figures.found:
        assert len(figure.runs) >= wanted.runs
        assert min(figure.runs) >= 0 if figure.what.startswith("idle") else min(figure.runs) > 0


def test_fires(tmp_path: Path) -> None:
    figures, wanted = Figures("fires"), Wanted(runs=1, scale=0.001, json=tmp_path / "fires.json")

    fires.bench(figures, wanted)
    figures.write(wanted.json)

    check(figures, wanted, count=9)


def test_schedules(tmp_path: Path) -> None:
    figures, wanted = Figures("schedules"), Wanted(runs=1, scale=0.001, json=tmp_path / "schedules.json")

    scheduler_overhead.bench(figures, wanted)
    figures.write(wanted.json)

    check(figures, wanted, count=11)
