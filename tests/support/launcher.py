"""Launchers of the development stack, and the processes that they start."""

import os
import shlex
import signal
import subprocess
import sys
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Self
from urllib.request import urlopen

from devstack.ports import free_port
from devstack.process import ROOT, wait_until, with_parent_death_signal

START_TIMEOUT = 100.0  # seconds
STOP_TIMEOUT = 60.0  # seconds
LAUNCHER_VARIABLES = {"DATABASE_URL", "REDIS_URL", "TEST_DATA", "PORT", "DATA_DIR"}


@dataclass(frozen=True)
class Launcher:
    """One `python -m devstack`, a context manager; its output goes to a file in its data folder."""

    data_dir: Path
    port: int
    popen: subprocess.Popen[bytes]

    @classmethod
    def start(cls, data_dir: Path, port: int | None = None) -> Self:
        port = port or free_port()
        with (data_dir / "output").open("ab") as output:
            popen = subprocess.Popen(
                with_parent_death_signal([sys.executable, "-m", "devstack"], death_signal=signal.SIGTERM),
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
        """Return when the stack is ready; the file alone may be left by a launcher that was killed."""
        wait_until(lambda: self.is_ready() or self.popen.poll() is not None, seconds=START_TIMEOUT)
        assert self.is_ready(), self.output

    def is_ready(self) -> bool:
        return self.is_api_ready() and self.stack_env.exists()

    def is_api_ready(self) -> bool:
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=2) as response:
                return bool(response.status == HTTPStatus.OK)
        except OSError:
            return False

    def stop(self, *signals: signal.Signals) -> int:
        """Send the signals, one after the other, and return the exit code."""
        for number in signals:
            self.popen.send_signal(number)
        return self.popen.wait(STOP_TIMEOUT)


def environment(data_dir: Path, port: int | str) -> dict[str, str]:
    inherited = {name: value for name, value in os.environ.items() if name not in LAUNCHER_VARIABLES}
    return {**inherited, "DATA_DIR": str(data_dir), "PORT": str(port)}


def descendants(pid: int) -> set[int]:
    """Return the process ids of all children, and their children."""
    parents = {int(child): int(parent) for child, parent in _processes("pid=,ppid=")}
    pids: set[int] = set()
    while children := {child for child, parent in parents.items() if parent in {pid, *pids}} - pids:
        pids |= children
    return pids


def running(pids: set[int]) -> set[int]:
    """Return the pids whose processes are running; a zombie is not."""
    return {int(pid) for pid, state in _processes("pid=,stat=") if not state.startswith("Z")} & pids


def _processes(columns: str) -> list[list[str]]:
    output = subprocess.run(["ps", "-A", "-o", columns], capture_output=True, text=True, check=True).stdout
    return [line.split() for line in output.splitlines()]
