"""Python processes forked from a server that has imported the libraries of the worker.

These imports take most of the processor time that the start of a worker needs, and tests start many workers. The
modules of the project are imported by each process anew.
"""

import multiprocessing
import os
import runpy
import signal
import subprocess
import sys
from pathlib import Path

from devstack.parent_death import set_parent_death_signal
from devstack.process import ROOT

# Nothing that imports billiard.common, which reads REMAP_SIGTERM when it is imported: worker/__main__.py sets it.
LIBRARIES = ["sklearn.metrics", "orjson", "psycopg2", "celery.app", "kombu.transport.redis"]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(LIBRARIES)


class ForkedProcess:
    """A module run as by python -m, with the methods of subprocess.Popen that tests use."""

    def __init__(self, module: list[str], env: dict[str, str], log: Path) -> None:
        # The log lines of Celery contain the name, which is that of a process started by python -m.
        args = (module, env, log)
        self._process = _context.Process(target=_run, args=args, name="MainProcess", daemon=True)
        self._process.start()
        assert self._process.pid is not None
        self.pid = self._process.pid

    def poll(self) -> int | None:
        """Return the exit code, or minus the number of the signal that ended it; None while it is running."""
        return self._process.exitcode

    def wait(self, timeout: float) -> int:
        """Wait for the end, and return the exit code."""
        self._process.join(timeout)
        exit_code = self.poll()
        if exit_code is None:
            raise subprocess.TimeoutExpired(str(self.pid), timeout)
        return exit_code

    def send_signal(self, number: signal.Signals) -> None:
        """Send the signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


def _run(module: list[str], env: dict[str, str], log: Path) -> None:
    """Run the module in this process."""
    set_parent_death_signal(signal.SIGTERM)  # the server ends with the process of the tests
    tests = multiprocessing.parent_process()
    if not (tests and tests.is_alive()):  # ended before the signal was set
        return
    with log.open("ab") as output:
        os.dup2(output.fileno(), 1)
        os.dup2(output.fileno(), 2)
    os.closerange(3, 256)  # an inherited pipe would keep the server alive after the end of the tests
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(env)
    sys.argv = module
    runpy.run_module(module[0], run_name="__main__", alter_sys=True)
