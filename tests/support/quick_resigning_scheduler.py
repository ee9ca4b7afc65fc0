"""Scheduler that resigns after a second of failures: python -m tests.support.quick_resigning_scheduler."""

from scheduler.app import app
from scheduler.beat import DatabaseScheduler


class QuickResigningScheduler(DatabaseScheduler):
    """Scheduler with another time limit."""

    resign_after = 1.0  # seconds


if __name__ == "__main__":
    app.Beat(scheduler=QuickResigningScheduler, loglevel="INFO", quiet=True).run()
