"""Service processes, started and stopped as an operator does."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from devstack.process import ROOT, with_parent_death_signal
from tests.support.databases import Connection, fetch_value
from tests.support.fork_server import ForkedProcess

STOP_TIMEOUT = 10  # seconds
MAX_START_TIME = 5.0  # seconds that a worker needs to start on an idle machine


class Service:
    """A process whose output goes to a file."""

    def __init__(self, module: list[str], env: Mapping[str, str], log: Path) -> None:
        self.module = module
        self.env = {**os.environ, **env}
        self._log = log
        self._offset = self._latest_offset = log.stat().st_size if log.exists() else 0
        self.start()

    def start(self) -> None:
        with self._log.open("ab") as output:
            self._latest_offset = output.tell()
            self.popen = self.start_process(output)

    def start_process(self, output: IO[bytes]) -> subprocess.Popen[bytes] | ForkedProcess:
        """Start the module with its output to the file."""
        command = with_parent_death_signal([sys.executable, "-m", *self.module], death_signal=signal.SIGTERM)
        return subprocess.Popen(command, cwd=ROOT, env=self.env, stdout=output, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        """Its output, without that of earlier processes in the same file."""
        return self._log.read_bytes()[self._offset :].decode()

    @property
    def latest_output(self) -> str:
        """Its output since its latest start."""
        return self._log.read_bytes()[self._latest_offset :].decode()

    def kill(self) -> None:
        """Send SIGKILL, and wait for the end."""
        self.popen.kill()
        self.popen.wait(STOP_TIMEOUT)

    def stop(self) -> int:
        """Send SIGTERM, and return the exit code."""
        self.popen.terminate()
        return self.popen.wait(STOP_TIMEOUT)


class ForkedService(Service):
    """A service that starts with its libraries imported."""

    def start_process(self, output: IO[bytes]) -> ForkedProcess:
        """Fork a process that runs the module."""
        return ForkedProcess(self.module, self.env, Path(output.name))


@contextmanager
def running_service(
    module: list[str], env: Mapping[str, str], log: Path, service_class: type[Service] = Service
) -> Iterator[Service]:
    service = service_class(module, env, log)
    try:
        yield service
    finally:
        if service.popen.poll() is None:
            service.popen.send_signal(signal.SIGCONT)
            service.kill()


def is_leader(db: Connection, scheduler: Service) -> bool:
    """Return True if the scheduler has recorded itself as the leader."""
    return (fetch_value(db, "SELECT name FROM leader") or "").endswith(f":{scheduler.popen.pid}")


def runs_within(measure: Callable[[], float], seconds: float) -> bool:
    """Return True if one of three attempts takes less time: a busy machine delays some of them, a defect all."""
    return any(measure() < seconds for _ in range(3))


def scale_to_idle_machine(seconds: float, start_time: float) -> float:
    """Return the estimated duration on an idle machine, from the time that a process took to start."""
    return seconds * min(1.0, MAX_START_TIME / start_time)


def cpu_seconds(pid: int) -> float:
    """Return the processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def peak_memory(pid: int) -> int | None:
    """Return the peak memory of a process, in KiB; None where the system has no /proc."""
    status = Path(f"/proc/{pid}/status")
    if not status.exists():
        return None
    [kib] = [line.split()[1] for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(kib)
