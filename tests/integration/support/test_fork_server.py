"""Processes forked from a server that has imported the libraries of the worker."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.process import ROOT
from tests.support.databases import wait_for
from tests.support.fork_server import LIBRARIES, ForkedProcess
from tests.support.launcher import running

# The modules of the project, and billiard.common, are imported by each process itself.
CHECK = """
import os, signal, sys
print(sys.argv[1:], dict(os.environ), os.getcwd(), os.path.samestat(os.fstat(0), os.stat("/dev/null")))
print([name for name in ("core", "worker", "billiard.common") if name in sys.modules])
print(all(name in sys.modules for name in os.environ["LIBRARIES"].split()))
print(signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM).name)
sys.exit(3)
"""
PAUSE = "import signal; print('started', flush=True); signal.pause()"
# Ends by SIGKILL while a process that it has forked is running.
KILLED_PARENT = """
import os, signal, sys, time
from pathlib import Path
from tests.support.fork_server import ForkedProcess
log = Path(sys.argv[1])
process = ForkedProcess(["forked_module"], dict(os.environ), log)
while not log.read_text():
    time.sleep(0.01)
print(process.pid, flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture
def log(tmp_path: Path) -> Path:
    log = tmp_path / "log"
    log.touch()
    return log


def write_module(code: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "forked_module.py").write_text(code)
    monkeypatch.syspath_prepend(str(folder))


def test_forked_process_runs_as_if_started_anew(log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_module(CHECK, tmp_path, monkeypatch)
    env = {"LIBRARIES": " ".join(LIBRARIES)}

    assert ForkedProcess(["forked_module", "--option"], env, log).wait(20) == 3

    assert log.read_text().splitlines() == [
        f"['--option'] {env} {ROOT} True",
        "[]",
        "True",
        f"{signal.getsignal(signal.SIGINT)} SIG_DFL",  # in the background of a script, SIGINT is ignored
    ]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_forked_process_reports_the_signal_that_ended_it(
    log: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    write_module(PAUSE, tmp_path, monkeypatch)
    process = ForkedProcess(["forked_module"], {}, log)
    wait_for(log.read_text)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)

    process.send_signal(number)

    assert process.wait(10) == process.poll() == -number


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a parent-death signal")
def test_forked_process_ends_after_the_process_of_the_tests_was_killed(log: Path, tmp_path: Path) -> None:
    (tmp_path / "forked_module.py").write_text(PAUSE)
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_PARENT, log],
        env={**os.environ, "PYTHONPATH": f"{ROOT}:{tmp_path}"},
        stdout=subprocess.PIPE,
        check=False,
        timeout=30,  # for the end of the server, which has the same output
    )

    assert killed.returncode == -signal.SIGKILL
    wait_for(lambda: not running({int(killed.stdout)}))
