"""The advisory lock of the leader, and the session that holds it."""

from typing import NamedTuple

from psycopg2.extensions import cursor

SESSION = "cyclic-metrics scheduler "  # application_name of a scheduler's session, less its own name
LOCK = 7236_3051  # of pg_advisory_lock; any number that other programs of the database do not use

LOCK_HOLDER = """
    SELECT activity.pid, activity.usename, activity.application_name
    FROM pg_catalog.pg_locks AS lock
    JOIN pg_catalog.pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted
        AND lock.classid = 0 AND lock.objid = %(lock)s AND lock.objsubid = 1
        AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""


class LockHolder(NamedTuple):
    """The session that holds the lock of the leader; any role may take an advisory lock."""

    pid: int
    role: str | None
    application_name: str | None

    @property
    def is_scheduler(self) -> bool:
        """Return True for a session that names itself as one of a scheduler."""
        return (self.application_name or "").startswith(SESSION)

    def describe(self) -> str:
        """Return who holds the lock, and what ends that."""
        return (
            f"role {self.role} (pid {self.pid}, application_name {self.application_name!r}) holds the advisory lock"
            f" {LOCK} of the leader; SELECT pg_terminate_backend({self.pid}) ends its session"
        )


def lock_holder(statements: cursor) -> LockHolder | None:
    """Return the session that holds the lock of the leader; None if it is free."""
    statements.execute(LOCK_HOLDER, {"lock": LOCK})
    row = statements.fetchone()
    return LockHolder(*row) if row else None
