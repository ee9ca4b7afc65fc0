"""Measurements of a benchmark beside their goals, as a table and as JSON. A missed goal does not fail the run."""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Self

from devstack.redis import find_engine
from tests.support.databases import Connection, fetch_value

PACKAGES = ("celery", "kombu", "redis", "psycopg2-binary", "scikit-learn", "numpy", "croniter")


@dataclass(frozen=True)
class Measurement:
    """A quantity, measured in several runs."""

    label: str
    unit: str
    runs: Sequence[float]
    goal: str = ""  # as text: "at most 0.2", "at least 1,200"; empty if there is none

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def table_row(self) -> str:
        spread = f"{_three_digits(min(self.runs))} to {_three_digits(max(self.runs))}"
        median = _three_digits(self.median)
        return f"{self.label:76} {median:>10} {self.unit:9} {spread:>22} {len(self.runs):5}  {self.goal}"


@dataclass
class Measurements:
    """The measurements of one benchmark on one machine."""

    benchmark: str
    items: list[Measurement] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict)

    def describe_environment(self, db: Connection) -> None:
        """Print the hardware and the versions, and the header of the table."""
        engine = find_engine()
        self.environment = {
            "time": datetime.now(UTC).isoformat(timespec="seconds"),
            "processor": f"{_processor()}, {os.cpu_count()} cores",
            "Python": platform.python_version(),
            "PostgreSQL": fetch_value(db, "SHOW server_version"),
            "Redis": f"{engine.binary.name} {'.'.join(map(str, engine.version))}",
            **{package: version(package) for package in PACKAGES},
        }
        print(f"\n{self.benchmark}: " + ", ".join(f"{name} {value}" for name, value in self.environment.items()))
        print(f"load average before: {os.getloadavg()[0]:.1f}\n")
        print(f"{'measurement':76} {'median':>10} {'':9} {'min to max':>22} {'runs':>5}  goal")

    def add(self, label: str, unit: str, runs: Sequence[float], goal: str = "") -> None:
        """Add a measurement and print it."""
        measurement = Measurement(label, unit, list(runs), goal)
        self.items.append(measurement)
        print(measurement.table_row(), flush=True)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        items = [{**asdict(item), "median": item.median} for item in self.items]
        report = {"benchmark": self.benchmark, "environment": self.environment, "measurements": items}
        path.write_text(json.dumps(report, indent=2) + "\n")


@dataclass(frozen=True)
class Options:
    """Options of the command line."""

    runs: int
    scale: float  # of all sizes
    json: Path

    def scaled(self, size: int) -> int:
        """Return a number of rows, models or edits at this scale."""
        return max(1, round(size * self.scale))


def run_benchmark(name: str, description: str | None, benchmark: Callable[[Measurements, Options], None]) -> None:
    """Run a benchmark with the options of the command line: print its table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes; 0.01 for a quick run")
    parser.add_argument("--json", type=Path, default=Path(".local/bench") / f"{name}.json")
    options = Options(**vars(parser.parse_args()))
    measurements = Measurements(name)
    benchmark(measurements, options)
    measurements.write(options.json)


class Stopwatch:
    """Duration of a block: with Stopwatch() as stopwatch: ...; stopwatch.seconds."""

    seconds: float

    def __enter__(self) -> Self:
        self._started_at = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._started_at


def _three_digits(value: float) -> str:
    """Return a number rounded to three significant digits, or to an integer."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
