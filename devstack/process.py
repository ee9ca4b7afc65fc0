"""A program that runs beside this one: started, shown, stopped, and started again by the same command."""

import logging
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import KW_ONLY, dataclass, field
from pathlib import Path
from threading import Thread
from time import monotonic, sleep
from typing import IO

ROOT = Path(__file__).resolve().parent.parent
LEASH = Path(__file__).resolve().with_name("parent_death.py")
POLL_INTERVAL = 0.05  # seconds
STOP_PATIENCE = 10.0  # seconds between the polite signal and SIGKILL


class CannotStart(Exception):
    """Something is missing or in the way; the message is one line for the user."""


def leashed(
    command: Sequence[str | Path], *, user: str = "", death_signal: signal.Signals = signal.SIGKILL
) -> list[str]:
    """Return the command so that it runs as user and gets death_signal when this process dies."""
    leash = [sys.executable, "-I", "-S", str(LEASH), str(os.getpid()), str(int(death_signal)), user]
    return [*leash, *map(str, command)]


def wait_until(
    condition: Callable[[], bool], *, seconds: float, meanwhile: Callable[[], object] = lambda: None
) -> bool:
    """Ask again and again, with meanwhile() in between; False if it has not come true in time."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        meanwhile()
        sleep(POLL_INTERVAL)
    return True


@dataclass(eq=False)
class Process:
    """A command whose every line of output goes to the logger of its name.

    It gets a session of its own, so that Ctrl-C in the terminal does not reach
    it: stop() decides who ends when. Call start() from the main thread only.
    """

    name: str
    command: Sequence[str | Path]
    _: KW_ONLY
    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)  # has passwords
    cwd: Path = ROOT
    user: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL  # what it gets when this process dies
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _reader: Thread | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The program's own process id, of the latest start."""
        assert self._popen is not None, f"{self.name} was never started"
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """Whether it is running now."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def end(self) -> str:
        """How it ended, in words."""
        code = self._popen.poll() if self._popen else None
        if code is None:
            return "not ended"
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def start(self) -> None:
        """Start the command; what an earlier start has left behind is ended first."""
        self.kill()
        self._popen = subprocess.Popen(
            leashed(self.command, user=self.user, death_signal=self.death_signal),
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._popen.stdout is not None
        self._reader = Thread(target=_show, args=(self.name, self._popen.stdout), daemon=True)
        self._reader.start()

    def stop(self, patience: float = STOP_PATIENCE) -> None:
        """Ask it to end, and after patience (seconds) make it; returns when nothing of it runs."""
        if self._popen is None:
            return
        self._popen.send_signal(self.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(patience)
        self.kill()

    def kill(self) -> None:
        """End it, and the children it leaves, at once."""
        if self._popen is None:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of a group of zombies
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        if self._reader is not None:
            self._reader.join(timeout=1)


def _show(name: str, output: IO[bytes]) -> None:
    log = logging.getLogger(name)
    with output:
        for line in output:
            log.info("%s", line.decode(errors="replace").rstrip())
