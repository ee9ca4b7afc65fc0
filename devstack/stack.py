"""The processes of the stack, together: kept running until a signal says stop, stopped in order."""

import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from time import monotonic
from typing import Self

from devstack.process import Process, wait_until
from devstack.supervisor import Keeper

log = logging.getLogger("stack")

STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(Exception):
    """A signal asked the stack to stop."""


@dataclass
class Stack:
    """Processes in the order of their start; use it as a context manager, in the main thread."""

    _keepers: list[Keeper] = field(default_factory=list)
    _stop_requested: bool = False

    def __enter__(self) -> Self:
        """From here on a signal makes tend() raise Stopped."""
        for number in STOP_SIGNALS:
            if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:  # nohup
                signal.signal(number, self._request_stop)
        return self

    def __exit__(self, *_: object) -> None:
        """Stop everything, the last started first, whatever other signals arrive."""
        for number in STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)
        for keeper in reversed(self._keepers):
            log.info("stopping %s", keeper.process.name)
            keeper.process.stop()

    def add(self, process: Process) -> None:
        """Start a process, and keep it running."""
        keeper = Keeper(process)
        self._keepers.append(keeper)
        keeper.start(monotonic())

    def pids(self) -> dict[str, int]:
        """Return the process id of each process, by name."""
        return {keeper.process.name: keeper.process.pid for keeper in self._keepers}

    def tend(self) -> bool:
        """Start again what has ended; whether anything was. Raises Stopped after a signal."""
        if self._stop_requested:
            raise Stopped
        now = monotonic()
        started = [keeper.look(now) for keeper in self._keepers]
        return any(started)

    def wait_until(self, condition: Callable[[], bool], *, seconds: float) -> bool:
        """Tend until the condition is true; False if it has not come true in time."""
        return wait_until(condition, seconds=seconds, meanwhile=self.tend)

    def _request_stop(self, *_: object) -> None:
        # No more than this: a signal may come while a process is half started.
        self._stop_requested = True
