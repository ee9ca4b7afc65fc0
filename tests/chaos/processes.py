"""What runs: servers, and our own processes, each with a network of its own."""

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
    """PostgreSQL or Redis, started again whenever it is not running, unless it is held."""

    process: Process
    held: bool = False
    start_at: float | None = None

    def kill(self) -> None:
        """End it and all its children at once."""
        children = children_of(self.process.pid)
        for pid in (self.process.pid, *children):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass(eq=False)
class Service:
    """One of our processes with its own network; whoever ends it says so before."""

    process: Process
    postgres: Proxy
    redis: Proxy
    wanted: bool = True
    told_to_end: bool = True  # before its first start
    start_at: float | None = None
    _lock: Lock = field(default_factory=Lock)  # nobody ends it while it is half started

    @property
    def name(self) -> str:
        return self.process.name

    def start(self) -> None:
        with self._lock:
            self.process.start()
            self.told_to_end = False

    def kill(self) -> None:
        """End it and its children at once."""
        with self._lock:
            self.told_to_end = True
            self.signal(signal.SIGKILL)

    def terminate(self) -> None:
        """End it as an operator does."""
        with self._lock, suppress(ProcessLookupError):
            self.told_to_end = True
            os.kill(self.process.pid, signal.SIGTERM)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to it and its children."""
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, number)


def children_of(pid: int) -> list[int]:
    """Return the ids of a process's children (Linux)."""
    with suppress(OSError):
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    return []
