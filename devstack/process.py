"""A child process: started, logged, stopped and restarted by the same command."""

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
PARENT_DEATH_SCRIPT = Path(__file__).resolve().with_name("parent_death.py")
POLL_INTERVAL = 0.05  # seconds
STOP_TIMEOUT = 10.0  # seconds from the stop signal to SIGKILL


class CannotStart(Exception):
    """Something that is needed is missing or occupied; the message is one line for the user."""


def with_parent_death_signal(
    command: Sequence[str | Path], *, user: str = "", death_signal: signal.Signals = signal.SIGKILL
) -> list[str]:
    """Return the command so that it runs as user and gets death_signal when this process dies."""
    wrapper = [sys.executable, "-I", "-S", PARENT_DEATH_SCRIPT, os.getpid(), int(death_signal), user]
    return [str(argument) for argument in (*wrapper, *command)]


def wait_until(
    condition: Callable[[], bool], *, seconds: float, meanwhile: Callable[[], object] = lambda: None
) -> bool:
    """Poll until the condition is true, calling meanwhile() in between; False after so many seconds."""
    deadline = monotonic() + seconds
    while not condition():
        if monotonic() > deadline:
            return False
        meanwhile()
        sleep(POLL_INTERVAL)
    return True


@dataclass(eq=False)
class Process:
    """A command whose lines of output go to the logger of its name.

    It gets a session of its own, so that Ctrl-C in the terminal does not reach
    it: stop() decides the order. Call start() from the main thread only.
    """

    name: str
    command: Sequence[str | Path]
    _: KW_ONLY
    env: Mapping[str, str] = field(default_factory=lambda: os.environ, repr=False)  # contains passwords
    cwd: Path = ROOT
    user: str = ""
    stop_signal: signal.Signals = signal.SIGTERM
    death_signal: signal.Signals = signal.SIGKILL  # sent to it when this process dies
    _popen: subprocess.Popen[bytes] | None = field(default=None, init=False)
    _reader: Thread | None = field(default=None, init=False)

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        assert self._popen is not None, f"{self.name} was never started"
        return self._popen.pid

    @property
    def alive(self) -> bool:
        """True while it is running."""
        return self._popen is not None and self._popen.poll() is None

    @property
    def exit_reason(self) -> str:
        """The exit code or the signal that ended it, as text."""
        code = self._popen.poll() if self._popen else None
        if code is None:
            return "not exited"
        return f"exit code {code}" if code >= 0 else signal.Signals(-code).name

    def start(self) -> None:
        """Start the command; remains of an earlier start are killed first."""
        self.kill()
        self._popen = subprocess.Popen(
            with_parent_death_signal(self.command, user=self.user, death_signal=self.death_signal),
            env=self.env,
            cwd=self.cwd,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        assert self._popen.stdout is not None
        self._reader = Thread(target=_log_lines, args=(self.name, self._popen.stdout), daemon=True)
        self._reader.start()

    def stop(self, timeout: float = STOP_TIMEOUT) -> None:
        """Send the stop signal, and after the timeout (seconds) kill it; returns when it has ended."""
        if self._popen is None:
            return
        self._popen.send_signal(self.stop_signal)
        with suppress(subprocess.TimeoutExpired):
            self._popen.wait(timeout)
        self.kill()

    def kill(self) -> None:
        """Kill it and its remaining children."""
        if self._popen is None:
            return
        with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for a group of zombies
            os.killpg(self._popen.pid, signal.SIGKILL)
        self._popen.wait()
        if self._reader is not None:
            self._reader.join(timeout=1)


def _log_lines(name: str, output: IO[bytes]) -> None:
    log = logging.getLogger(name)
    with output:
        for line in output:
            log.info("%s", line.decode(errors="replace").rstrip())
