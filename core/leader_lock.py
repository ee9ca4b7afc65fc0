"""The advisory lock of the leader, and the session that holds it."""

from typing import NamedTuple

from psycopg2.extensions import cursor

APPLICATION_NAME = "cyclic-metrics scheduler "  # start of application_name of a scheduler's session; its name follows
LEADER_LOCK = 7236_3051  # of pg_advisory_lock; any number that other programs in the database do not use

LOCK_SESSIONS = """
    FROM pg_catalog.pg_locks AS lock
    JOIN pg_catalog.pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted
        AND lock.classid = 0 AND lock.objid = %(lock)s AND lock.objsubid = 1
        AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""
LOCK_HOLDER = "SELECT activity.pid, activity.usename, activity.application_name" + LOCK_SESSIONS


class LockHolder(NamedTuple):
    """The session that holds the leader lock. Any role can take an advisory lock, so it may be no scheduler."""

    pid: int
    role: str | None
    application_name: str | None

    @property
    def is_scheduler(self) -> bool:
        """Return True for a session with the application_name of a scheduler."""
        return (self.application_name or "").startswith(APPLICATION_NAME)

    def describe(self) -> str:
        """Return the holder of the lock in words, and how to end its session."""
        return (
            f"role {self.role} (pid {self.pid}, application_name {self.application_name!r}) holds the advisory lock"
            f" {LEADER_LOCK} of the leader; SELECT pg_terminate_backend({self.pid}) ends its session"
        )


def lock_holder(cursor: cursor) -> LockHolder | None:
    """Return the session that holds the leader lock; None if the lock is free."""
    cursor.execute(LOCK_HOLDER, {"lock": LEADER_LOCK})
    row = cursor.fetchone()
    return LockHolder(*row) if row else None
