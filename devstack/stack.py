"""The processes of the stack: supervised until a signal requests a stop, then stopped in order."""

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Self

from devstack.process import Process, wait_until
from devstack.supervisor import Supervisor

log = logging.getLogger("stack")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class StopRequested(Exception):
    """A signal requested the stack to stop."""


@dataclass
class Stack:
    """Supervised processes in the order of their start: a context manager for the main thread."""

    _supervisors: list[Supervisor] = field(default_factory=list)
    _stop_requested: bool = False

    def __enter__(self) -> Self:
        """Handle signals: from now on, poll() raises StopRequested after one."""
        for number in STOP_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._request_stop)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop all processes in reverse order, regardless of further signals."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for supervisor in reversed(self._supervisors):
            process = supervisor.process
            process.stop()
            log.info("%s stopped (%s)", process.name, process.exit_reason)

    def add(self, process: Process) -> None:
        """Start a process and supervise it."""
        supervisor = Supervisor(process)
        self._supervisors.append(supervisor)
        supervisor.start(monotonic())

    def pids(self) -> dict[str, int]:
        """Return the process ids by the names of the processes."""
        return {supervisor.process.name: supervisor.process.pid for supervisor in self._supervisors}

    def poll(self) -> bool:
        """Restart processes that have exited; True if there were any. Raises StopRequested after a signal."""
        if self._stop_requested:
            raise StopRequested
        now = monotonic()
        restarted = [supervisor.poll(now) for supervisor in self._supervisors]
        return any(restarted)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Supervise the processes until the condition is true; False after so many seconds."""
        return wait_until(condition, seconds=seconds, meanwhile=self.poll)

    def _request_stop(self, *_: object) -> None:
        # Only a flag: the signal may arrive while a process is being started.
        self._stop_requested = True
