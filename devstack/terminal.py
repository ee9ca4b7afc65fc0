"""The terminal that the launcher was started from."""

import logging
import os
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress


def show_logs() -> None:
    """Print every log record as a line that begins with its logger's name."""
    logging.raiseExceptions = False  # a reader that has gone away (| head) is no reason to print tracebacks
    logging.basicConfig(level=logging.INFO, format="%(name)-9s | %(message)s", stream=sys.stdout)


@contextmanager
def ctrl_c_to_us_alone() -> Iterator[None]:
    """Take the terminal from the make that started us, if one did, and give it back.

    Ctrl-C goes to every process in the terminal's foreground group. make would
    die of it, and its user would see a failure where everything ended well.
    """
    terminal, starter = _terminal(), os.getpgrp()
    if terminal is None or starter == os.getpid() or os.tcgetpgrp(terminal) != starter:
        yield  # no terminal, or started by the shell directly, or in the background
        return
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # else giving it back would stop us
    signal.signal(signal.SIGTSTP, signal.SIG_IGN)  # Ctrl-Z would stop us and leave make waiting
    os.setpgid(0, 0)
    os.tcsetpgrp(terminal, os.getpgrp())
    try:
        yield
    finally:
        os.tcsetpgrp(terminal, starter)


def _terminal() -> int | None:
    with suppress(OSError):
        return os.open("/dev/tty", os.O_RDWR | os.O_CLOEXEC)
    return None
