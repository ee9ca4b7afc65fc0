import sys

from devstack.process import Process, wait_until
from devstack.supervisor import BACKOFF_RESET_TIME, MAX_BACKOFF, MIN_BACKOFF, Supervisor
from tests.support.databases import DEFAULT_TIMEOUT


def wait_for_exit(process: Process) -> None:
    assert wait_until(lambda: not process.alive, seconds=DEFAULT_TIMEOUT)


def test_backoff_doubles_while_a_process_keeps_exiting() -> None:
    supervisor = Supervisor(Process("fails", [sys.executable, "-c", "raise SystemExit(3)"]))
    supervisor.start(now=0)
    wait_for_exit(supervisor.process)

    assert supervisor.process.exit_reason == "exit code 3"
    assert not supervisor.poll(now=0)
    assert not supervisor.poll(now=MIN_BACKOFF / 2)
    assert supervisor.poll(now=MIN_BACKOFF)
    wait_for_exit(supervisor.process)
    assert not supervisor.poll(now=1)
    assert not supervisor.poll(now=1 + MIN_BACKOFF)
    assert supervisor.poll(now=1 + 2 * MIN_BACKOFF)
    wait_for_exit(supervisor.process)


def test_an_exit_after_a_long_uptime_resets_the_backoff() -> None:
    supervisor = Supervisor(Process("fails", [sys.executable, "-c", ""]), _backoff=MAX_BACKOFF)
    supervisor.start(now=0)
    wait_for_exit(supervisor.process)

    supervisor.poll(now=BACKOFF_RESET_TIME + 1)

    assert supervisor.poll(now=BACKOFF_RESET_TIME + 1 + MIN_BACKOFF)
    wait_for_exit(supervisor.process)
