"""Scheduler that leads without the leader lock, as a stale leader does: python -m tests.support.lockless_scheduler."""

from psycopg2.extensions import connection

from scheduler.app import app
from scheduler.beat import DatabaseScheduler


class LocklessScheduler(DatabaseScheduler):
    """Scheduler that is always the leader."""

    def try_to_lead(self, database: connection) -> bool:  # noqa: ARG002  # the lock may have another holder
        return True


if __name__ == "__main__":
    app.Beat(scheduler=LocklessScheduler, loglevel="INFO", quiet=True).run()
