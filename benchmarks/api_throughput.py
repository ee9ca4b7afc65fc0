"""How fast the API answers, beside bare waitress and Flask: python -m benchmarks.api_throughput [--json FILE].

Real servers, a million schedules in 36,000 pairs, results of 100,000 models; "any" schedule is one of theirs, a "known"
one is one of a few hundred. Runs of the floor and of each call alternate. Two kinds of load: clients that send the next
request when the answer is there, and so saturate the server (50 of them wait 50 / throughput on average, whatever the
server does), and 50 clients with a fixed rate.
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
from typing import Any

from benchmarks.api_fixture import Setup, prepared
from benchmarks.load_generator import Load, Measured, measure

SCHEDULES, MODELS = 1_000_000, 100_000
CROWD = 50  # clients
LOADS: Sequence[tuple[int, int | None]] = ((1, None), (10, None), (CROWD, None), (CROWD, 500), (CROWD, 1000))


def main() -> None:
    """Run the bench, print a table, and write it as JSON where that is wanted."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=2)
    arguments = parser.parse_args()
    with prepared(SCHEDULES, MODELS) as setup:
        report = bench(setup, arguments.runs, arguments.seconds)
    if arguments.json:
        arguments.json.write_text(json.dumps(report, indent=2))


def bench(setup: Setup, runs: int, seconds: float, loads: Sequence[tuple[int, int | None]] = LOADS) -> dict[str, Any]:
    """Measure each call under each load, and print it; the first time of each, as nothing is known yet, is not in."""
    versions = ", ".join(f"{name} {version(name)}" for name in ("waitress", "flask", "redis", "psycopg2-binary"))
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}, {versions}"
    print(f"{machine}, PostgreSQL {setup.version}")
    print(f"{runs} runs of {seconds} s; medians, and (least to most)")
    print(f"{len(setup.model_ids):,} models have results; load average at first: {os.getloadavg()[0]:.1f}\n")
    for port, calls in setup.calls().values():
        measure(Load(port, seconds, CROWD, calls))
    print(f"{'clients':16}{'call':20}{'requests/s':>26}{'of the floor':>14}{'p50 ms':>9}{'p99 ms':>9}{'failed':>8}")
    found: list[dict[str, Any]] = []
    for clients, rate in loads:
        measured: dict[str, list[Measured]] = {name: [] for name in setup.calls()}
        for _ in range(runs):
            for name, (port, calls) in setup.calls().items():
                measured[name].append(measure(Load(port, seconds, clients, calls, rate)))
        floor = statistics.median(each.per_second for each in measured["floor"])
        for name, taken in measured.items():
            print(_line(f"{clients}" + (f" at {rate}/s" if rate else ""), name, taken, floor))
            found.append({"clients": clients, "rate": rate, "call": name, "runs": [asdict(each) for each in taken]})
        busiest = max(each.cpu for taken in measured.values() for each in taken)
        load = os.getloadavg()[0]
        print(f"{'':16}(the process that sends took at most {busiest:.0%} of a processor; load average {load:.1f})\n")
    return {"machine": machine, "postgresql": setup.version, "schedules": setup.schedules, "found": found}


def _line(load: str, name: str, taken: list[Measured], floor: float) -> str:
    rates = [each.per_second for each in taken]
    spread = f"{statistics.median(rates):,.0f} ({min(rates):,.0f} to {max(rates):,.0f})"
    p50, p99 = (statistics.median(times) for times in zip(*((each.p50, each.p99) for each in taken), strict=True))
    failed = sum(each.failed for each in taken)
    share = f"{statistics.median(rates) / floor:.0%}"
    return f"{load:16}{name:20}{spread:>26}{share:>14}{p50:9.1f}{p99:9.1f}{failed:8}"


if __name__ == "__main__":
    main()
