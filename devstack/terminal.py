"""The terminal that the launcher was started from."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def configure_logging() -> None:
    """Print each log record as a line that begins with the name of its logger."""
    logging.raiseExceptions = False  # a closed pipe (| head) is no reason to print tracebacks
    logging.basicConfig(level=logging.INFO, format="%(name)-9s | %(message)s", stream=sys.stdout)


@contextmanager
def foreground_process_group() -> Iterator[None]:
    """Move this process from make's foreground process group into its own, for the duration of the context.

    Ctrl-C signals every process in the foreground group of the terminal. It would kill make, which then reports a
    failure although everything has ended properly.
    """
    terminal, parent_group = _open_terminal(), os.getpgrp()
    if terminal is None or parent_group == os.getpid() or os.tcgetpgrp(terminal) != parent_group:
        yield  # no terminal, or started by the shell directly, or in the background
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # otherwise restoring the group would stop this process
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # Ctrl-Z would stop it and leave make waiting
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, parent_group)


def _open_terminal() -> int | None:
    with suppress(OSError):
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    return None
