"""The bench of the API still runs; what it measures is for `make bench`."""

import pytest

from benchmarks import pages
from benchmarks.api_fixture import prepared
from benchmarks.api_throughput import bench


def test_it_measures_each_call_under_each_load(capsys: pytest.CaptureFixture[str]) -> None:
    loads = [(5, None), (5, 300)]
    with prepared(schedules=300, models=100) as setup:
        found = bench(setup, 1, 0.1, loads)["found"]
        names = list(setup.calls())

    assert [(each["clients"], each["rate"], each["call"]) for each in found] == [
        (clients, rate, name) for clients, rate in loads for name in names
    ]
    for each in found:
        [run] = each["runs"]
        assert run["failed"] == 0
        assert run["per_second"] > 0
        assert 0 < run["p50"] <= run["p99"]
    assert "of the floor" in capsys.readouterr().out


def test_it_measures_the_pages_and_what_open_ones_take(capsys: pytest.CaptureFixture[str]) -> None:
    with prepared(schedules=300, models=100) as setup:
        report = pages.bench(setup, runs=1, viewers=3, seconds=1.5)

    for name in ("all the same", "all different"):
        found = report[name]
        assert found["changes overtaken"] == 0
        assert max(found["seconds until a change shows"]) < 3.0
        assert found["meanwhile"]["failed"] == 0
    assert "a change shows after" in capsys.readouterr().out
