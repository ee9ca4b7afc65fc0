"""Time limit of a batch, as an exception inside it."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class TimeLimitExceeded(BaseException):
    """The time limit has passed. Not an Exception, so that no library handles it as an error of its own."""


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Raise TimeLimitExceeded in the block after so many seconds; in the main thread of a process.

    Celery's soft time limit is raised at any time, also while the process reports the end of a task: its parent could
    not parse that, and would hang.
    """
    previous_handler = signal.signal(signal.SIGALRM, _raise_exceeded)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous_handler)


def _raise_exceeded(_signal: int, _frame: FrameType | None) -> None:
    raise TimeLimitExceeded
