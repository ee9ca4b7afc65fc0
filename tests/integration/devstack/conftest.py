"""Real launchers, each with a data folder and a port of its own."""

import os
import shlex
import signal
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Self

import pytest

from devstack.ports import free_port
from devstack.process import ROOT, leashed, wait_until

START_SECONDS = 100.0
STOP_SECONDS = 60.0
GIVEN_FROM_OUTSIDE = {"DATABASE_URL", "REDIS_URL", "TEST_DATA", "PORT", "DATA_DIR"}


@dataclass(frozen=True)
class Launcher:
    """One `python -m devstack`, ended with its `with`; what it prints goes to a file in its data folder."""

    data_dir: Path
    port: int
    popen: subprocess.Popen[bytes]

    @classmethod
    def start(cls, data_dir: Path, port: int | None = None) -> Self:
        port = port or free_port()
        with (data_dir / "output").open("ab") as output:
            popen = subprocess.Popen(
                leashed([sys.executable, "-m", "devstack"], death_signal=signal.SIGTERM),
                cwd=ROOT,
                env=environment(data_dir, port),
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        return cls(data_dir, port, popen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.popen.kill()
        self.popen.wait()

    @property
    def output(self) -> str:
        return (self.data_dir / "output").read_text()

    @property
    def stack_env(self) -> Path:
        return self.data_dir / "stack.env"

    def variables(self) -> dict[str, str]:
        return dict(word.split("=", 1) for word in shlex.split(self.stack_env.read_text()))

    def wait_until_ready(self) -> None:
        """Return when the stack is; the file alone may be that of a launcher that was killed."""
        wait_until(lambda: self.is_ready() or self.popen.poll() is not None, seconds=START_SECONDS)
        assert self.is_ready(), self.output

    def is_ready(self) -> bool:
        return self.answers() and self.stack_env.exists()

    def answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as answer:
                return bool(answer.status == HTTPStatus.OK)
        except OSError:
            return False

    def end(self, *signals: signal.Signals) -> int:
        """Send the signals, one after the other, and return the exit code."""
        for number in signals:
            self.popen.send_signal(number)
        return self.popen.wait(STOP_SECONDS)


def environment(data_dir: Path, port: int | str) -> dict[str, str]:
    own = {name: value for name, value in os.environ.items() if name not in GIVEN_FROM_OUTSIDE}
    return {**own, "DATA_DIR": str(data_dir), "PORT": str(port)}


def descendants(pid: int) -> set[int]:
    """Return the process ids of all children, and their children."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    parents = {int(child): int(parent) for child, parent in rows}
    found: set[int] = set()
    while more := {child for child, parent in parents.items() if parent in {pid, *found}} - found:
        found |= more
    return found


def running(pids: set[int]) -> set[int]:
    """Return those that still run; a zombie does not."""
    listed = subprocess.run(["ps", "-A", "-o", "pid=,stat="], capture_output=True, text=True, check=True).stdout
    rows = [line.split() for line in listed.splitlines()]
    return {int(pid) for pid, state in rows if not state.startswith("Z")} & pids


@pytest.fixture
def data_dir() -> Iterator[Path]:
    yield from _data_dir()


@pytest.fixture(scope="module")
def stack() -> Iterator[Launcher]:
    """A ready stack that all tests of a module share."""
    for folder in _data_dir():
        with Launcher.start(folder) as launcher:
            launcher.wait_until_ready()
            yield launcher
            # As an impatient user does.
            assert launcher.end(signal.SIGINT, signal.SIGINT) == 0, launcher.output


def _data_dir() -> Iterator[Path]:
    # Not tmp_path: pytest closes it to other accounts, and as root PostgreSQL runs as one.
    with tempfile.TemporaryDirectory(prefix="cyclic-metrics-", ignore_cleanup_errors=True) as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)
