"""Becomes a command that ends when the process that started it ends (Linux), however that one ends.

    python leash.py <pid of the starter> <signal at its end> <user, or ""> <command> [argument ...]

A program of its own, not a preexec_fn: that is unsafe in a process with threads.
"""

import ctypes
import os
import pwd
import sys

PR_SET_PDEATHSIG = 1


def become(starter: int, signal: int, user: str, command: list[str]) -> None:
    """Replace this process by the command, run by user; returns only if the starter is gone."""
    if user:
        account = pwd.getpwnam(user)
        os.setgroups([])
        os.setgid(account.pw_gid)
        os.setuid(account.pw_uid)
    if sys.platform == "linux":
        # After setuid, which clears it. It is bound to the starter's *thread*: start from the main one.
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal, 0, 0, 0)
    if os.getppid() == starter:  # else it ended before prctl, and nobody would stop the command
        os.execv(command[0], command)  # noqa: S606  # what the launcher gave


if __name__ == "__main__":
    become(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4:])
