"""Throughput and latency of the API, beside waitress and Flask alone: python -m benchmarks.api_throughput.

Real servers, a million schedules in 36,000 cron specs, results of 100,000 models; "any" schedule is one of theirs, a
"cached" one is one of a few hundred. Runs of the baseline and of each endpoint alternate. There are two kinds of load:
clients that send the next request after each response, and so saturate the server (50 of them wait 50 / throughput on
average, whatever the server does), and 50 clients with a fixed rate.
"""

import argparse
import json
import os
import platform
import statistics
from collections.abc import Sequence
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.api_fixture import BASELINE, ApiFixture, running_api
from benchmarks.load_generator import Load, LoadResult, measure

SCHEDULES, MODELS = 1_000_000, 100_000
MAX_CLIENTS = 50


class LoadLevel(NamedTuple):
    """A number of clients, and their common rate of requests per second (None: as fast as possible)."""

    clients: int
    rate: int | None = None

    def __str__(self) -> str:
        return f"{self.clients}" + (f" at {self.rate}/s" if self.rate else "")


LEVELS = (
    LoadLevel(1),
    LoadLevel(10),
    LoadLevel(MAX_CLIENTS),
    LoadLevel(MAX_CLIENTS, 500),
    LoadLevel(MAX_CLIENTS, 1000),
)


def main() -> None:
    """Run the benchmark, print a table, and write it as JSON if --json is given."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    with running_api(SCHEDULES, MODELS) as api:
        report = benchmark(api, arguments.runs, arguments.seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def benchmark(api: ApiFixture, runs: int, seconds: float, levels: Sequence[LoadLevel] = LEVELS) -> dict[str, Any]:
    """Measure and print each endpoint under each load; a first run of each, to fill the caches, does not count."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("waitress", "flask", "redis", "psycopg2-binary"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
    print(f"{machine}, PostgreSQL {api.postgres_version}")
    print(f"{runs} runs of {seconds} s; medians, and (min to max)")
    print(f"{len(api.model_ids):,} models have results; load average before: {os.getloadavg()[0]:.1f}\n")
    for endpoint in api.endpoints().values():
        measure(Load(endpoint.port, seconds, MAX_CLIENTS, endpoint.requests))
    header = f"{'clients':16}{'endpoint':20}{'requests/s':>26}{'of baseline':>14}"
    print(f"{header}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
    measurements: list[dict[str, Any]] = []
    for level in levels:
        results = measure_level(api, level, runs, seconds)
        print_level(level, results)
        for name, taken in results.items():
            measurements.append({**level._asdict(), "endpoint": name, "runs": [asdict(result) for result in taken]})
    return {
        "machine": machine,
        "postgresql": api.postgres_version,
        "schedules": api.schedules,
        "measurements": measurements,
    }


def measure_level(api: ApiFixture, level: LoadLevel, runs: int, seconds: float) -> dict[str, list[LoadResult]]:
    """Return the results of each endpoint."""
    results: dict[str, list[LoadResult]] = {name: [] for name in api.endpoints()}
    for _ in range(runs):
        for name, endpoint in api.endpoints().items():
            load = Load(endpoint.port, seconds, level.clients, endpoint.requests, level.rate)
            results[name].append(measure(load))
    return results


def print_level(level: LoadLevel, results: dict[str, list[LoadResult]]) -> None:
    baseline = statistics.median(result.throughput for result in results[BASELINE])
    for name, taken in results.items():
        print(_table_row(f"{level!s}", name, taken, baseline))
    cpu = max(result.cpu for taken in results.values() for result in taken)
    print(f"{'':16}(the load generator used at most {cpu:.0%} of a processor;", end=" ")
    print(f"load average {os.getloadavg()[0]:.1f})\n")


def _table_row(level: str, name: str, results: list[LoadResult], baseline: float) -> str:
    rates = [result.throughput for result in results]
    spread = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
    p50 = statistics.median(result.p50 for result in results)
    p99 = statistics.median(result.p99 for result in results)
    failed = sum(result.failed for result in results)
    share = f"{statistics.median(rates) / baseline:.0%}"
    return f"{level:16}{name:20}{spread:>26}{share:>14}{p50:9.1f}{p99:9.1f}{failed:8}"


if __name__ == "__main__":
    main()
