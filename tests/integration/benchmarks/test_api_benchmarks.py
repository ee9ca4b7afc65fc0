"""The benchmarks of the API run on a small scale; measuring is for `make bench`."""

import pytest

from benchmarks import api_throughput, pages
from benchmarks.api_fixture import running_api
from benchmarks.api_throughput import LoadLevel


def test_api_throughput_measures_each_endpoint_at_each_load_level(capsys: pytest.CaptureFixture[str]) -> None:
    levels = [LoadLevel(5), LoadLevel(5, 300)]
    with running_api(schedules=300, models=100) as api:
        measurements = api_throughput.benchmark(api, 1, 0.1, levels)["measurements"]
        names = list(api.endpoints())

    assert [(item["clients"], item["rate"], item["endpoint"]) for item in measurements] == [
        (level.clients, level.rate, name) for level in levels for name in names
    ]
    for item in measurements:
        [run] = item["runs"]
        assert run["failed"] == 0
        assert run["throughput"] > 0
        assert 0 < run["p50"] <= run["p99"]
    assert "of baseline" in capsys.readouterr().out


def test_pages_measures_responses_and_open_pages(capsys: pytest.CaptureFixture[str]) -> None:
    with running_api(schedules=300, models=100) as api:
        report = pages.benchmark(api, runs=1, viewers=3, seconds=3)

    for name in ("identical", "different"):
        measured = report.open_pages[name]
        assert measured.overtaken_changes == 0
        assert max(measured.change_delays) < 3.0
        assert measured.other_client.failed == 0
    assert "a change is visible after" in capsys.readouterr().out
