"""Runs a command that gets a signal when its parent process dies (PR_SET_PDEATHSIG, Linux).

    python parent_death.py <pid of the parent> <signal> <user, or ""> <command> [argument ...]

A program, not a preexec_fn, which is unsafe in a process with threads.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def set_parent_death_signal(signal: int) -> None:
    """Let the system send the signal to this process when the *thread* that started it ends; Linux only."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)


def execute(parent_pid: int, signal: int, user: str, command: list[str]) -> None:
    """Replace this process by the command, run as user; returns only if the parent has died."""
    if user:
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    set_parent_death_signal(signal)  # after setuid, which clears it
    if os.getppid() == parent_pid:  # otherwise it died before prctl, and the command would never be stopped
        os.execv(command[0], command)  # noqa: S606  # the launcher's command


if __name__ == "__main__":
    execute(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
