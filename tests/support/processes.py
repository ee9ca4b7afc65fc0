"""The project's own processes, as an operator starts them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from devstack.process import ROOT, with_parent_death_signal
from tests.support.databases import Connection, one

USUAL_START = 5.0  # seconds; more than a worker needs to start on an idle machine


class Service:
    """A process whose output goes to a file."""

    def __init__(self, module: list[str], env: Mapping[str, str], log: Path) -> None:
        self._command = with_parent_death_signal([sys.executable, "-m", *module], death_signal=signal.SIGTERM)
        self.env = {**os.environ, **env}
        self._log = log
        self._offset = self._latest_offset = log.stat().st_size if log.exists() else 0
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._latest_offset = output.tell()
            self.popen = subprocess.Popen(
                self._command, cwd=ROOT, env=self.env, stdout=output, stderr=subprocess.STDOUT
            )

    @property
    def output(self) -> str:
        """What it has said, and not what another one said before it into the same file."""
        return self._log.read_bytes()[self._offset :].decode()

    @property
    def latest_output(self) -> str:
        """Its output since its latest start."""
        return self._log.read_bytes()[self._latest_offset :].decode()

    def kill(self) -> None:
        """End it as kill -9 does."""
        self.popen.kill()
        self.popen.wait(10)

    def stop(self) -> int:
        """End it as an operator does; the answer is its exit code."""
        self.popen.terminate()
        return self.popen.wait(10)


def leads(db: Connection, scheduler: Service) -> bool:
    """Whether a scheduler has noted itself as the leader."""
    return (one(db, "SELECT name FROM leader") or "").endswith(f":{scheduler.popen.pid}")


def is_quick(measure: Callable[[], float], seconds: float) -> bool:
    """Return True if one of three attempts takes less: a busy machine delays some, and a fault of ours all."""
    return any(measure() < seconds for _ in range(3))


def scaled(seconds: float, starting: float) -> float:
    """Return how long it would take on an idle machine, by how long a process took to start."""
    return seconds * min(1.0, USUAL_START / starting)


def cpu_seconds(pid: int) -> float:
    """Return what a process has had of the processors so far."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> int | None:
    """Return the most memory that a process ever had, in KiB; None where the system does not say."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    [kib] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(kib)


@contextmanager
def service(module: list[str], env: Mapping[str, str], log: Path) -> Iterator[Service]:
    running = Service(module, env, log)
    try:
        yield running
    finally:
        if running.popen.poll() is None:
            running.popen.send_signal(signal.SIGCONT)
            running.kill()
