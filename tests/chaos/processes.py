"""Processes of the system under test."""

import os
import signal
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from devstack.process import Process
from tests.support.proxy import Proxy


@dataclass(eq=False)
class Server:
    """PostgreSQL or Redis; restarted when it has exited, unless restarts are suspended."""

    process: Process
    is_suspended: bool = False
    start_at: float | None = None  # monotonic time

    def kill(self) -> None:
        """Send SIGKILL to the process and its children."""
        children = child_pids(self.process.pid)
        for pid in (self.process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass(eq=False)
class Service:
    """A scheduler or worker, connected through proxies of its own."""

    process: Process
    postgres: Proxy
    redis: Proxy
    enabled: bool = True
    exit_expected: bool = True  # set before a signal; and before the first start
    start_at: float | None = None  # monotonic time
    _lock: Lock = field(default_factory=Lock)  # no signals during a start

    @property
    def name(self) -> str:
        return self.process.name

    def start(self) -> None:
        with self._lock:
            self.process.start()
            self.exit_expected = False

    def kill(self) -> None:
        """Send SIGKILL to the process and its children."""
        with self._lock:
            self.exit_expected = True
            self.signal(signal.SIGKILL)

    def terminate(self) -> None:
        """Send SIGTERM to the process."""
        with self._lock, suppress(ProcessLookupError):
            self.exit_expected = True
            os.kill(self.process.pid, signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the process and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def child_pids(pid: int) -> list[int]:
    """Return the ids of a process's children (Linux)."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
