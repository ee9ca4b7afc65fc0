"""The time that a batch may take, as an exception within it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TookTooLong(BaseException):
    """The time is over. No Exception, so that no library takes it for one of its own."""


@contextmanager
def limited(seconds: float) -> Iterator[None]:
    """Raise TookTooLong in the block after so many seconds; in the main thread of a process.

    Celery's soft time limit comes at any time, also while the process reports
    the end of a task: its parent could not read that, and would hang.
    """
    before = signal.signal(signal.SIGALRM, _stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise TookTooLong
