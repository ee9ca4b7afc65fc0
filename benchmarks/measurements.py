"""What a bench of speed found, beside its goals: a table for people, JSON for programs. No figure fails a run."""

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

from devstack.redis import find_engine
from tests.support.databases import Connection, one

PACKAGES = ("celery", "kombu", "redis", "psycopg2-binary", "scikit-learn", "numpy", "croniter")


@dataclass(frozen=True)
class Figure:
    """A quantity, measured some times."""

    what: str
    unit: str
    runs: Sequence[float]
    goal: str = ""  # in words of the table: "at most 0.2", "at least 1,200"; empty where none was set

    @property
    def median(self) -> float:
        return statistics.median(self.runs)

    def line(self) -> str:
        """Return its line of the table."""
        spread = f"{_short(min(self.runs))} to {_short(max(self.runs))}"
        return f"{self.what:76} {_short(self.median):>10} {self.unit:9} {spread:>22} {len(self.runs):5}  {self.goal}"


@dataclass
class Figures:
    """The figures of one bench, on one machine."""

    name: str
    found: list[Figure] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=dict)

    def describe(self, db: Connection) -> None:
        """Print what everything ran on, and the head of the table."""
        self.machine = {
            "when": datetime.now(UTC).isoformat(timespec="seconds"),
            "processor": f"{_processor()}, {os.cpu_count()} cores",
            "Python": platform.python_version(),
            "PostgreSQL": one(db, "SHOW server_version"),
            "Redis": find_engine().binary.name + " " + ".".join(map(str, find_engine().version)),
            **{package: version(package) for package in PACKAGES},
        }
        print(f"\n{self.name}: " + ", ".join(f"{name} {value}" for name, value in self.machine.items()))
        print(f"load average at first: {os.getloadavg()[0]:.1f}\n")
        print(f"{'what':76} {'median':>10} {'':9} {'least to most':>22} {'runs':>5}  goal")

    def add(self, what: str, unit: str, runs: Sequence[float], goal: str = "") -> None:
        """Take in a figure, and print it."""
        self.found.append(Figure(what, unit, list(runs), goal))
        print(self.found[-1].line(), flush=True)

    def write(self, path: Path) -> None:
        """Write everything as JSON."""
        path.parent.mkdir(parents=True, exist_ok=True)
        figures = [{**asdict(figure), "median": figure.median} for figure in self.found]
        path.write_text(json.dumps({"bench": self.name, "machine": self.machine, "figures": figures}, indent=2) + "\n")


@dataclass(frozen=True)
class Wanted:
    """How long and how large."""

    runs: int
    scale: float  # of all sizes
    json: Path

    def size(self, full: int) -> int:
        """Return a number of rows, or whatever, at this scale."""
        return max(1, round(full * self.scale))


def command(name: str, description: str | None, bench: Callable[[Figures, Wanted], None]) -> None:
    """Run a bench as the command line wants it: print its table, and write it as JSON."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="of all sizes; 0.01 is for a quick look")
    parser.add_argument("--json", type=Path, default=Path(".local/bench") / f"{name}.json")
    wanted = Wanted(**vars(parser.parse_args()))
    figures = Figures(name)
    bench(figures, wanted)
    figures.write(wanted.json)


class Watch:
    """How long something takes: with Watch() as watch: ...; watch.seconds."""

    seconds: float

    def __enter__(self) -> "Watch":
        self._began = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.seconds = time.perf_counter() - self._began


def _short(value: float) -> str:
    """Return three figures that count."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
