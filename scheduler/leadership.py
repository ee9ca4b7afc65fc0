"""Who leads: the one session of PostgreSQL that holds an advisory lock."""

import logging
from typing import NamedTuple

from psycopg2.extensions import connection, cursor

from scheduler.store import rows

log = logging.getLogger(__name__)

SESSION = "cyclic-metrics scheduler "  # application_name of a scheduler's session, less its own name
LOCK = 7236_3051  # of pg_advisory_lock; any number that other programs of the database do not use
SILENCE = 8  # seconds; a leader asks PostgreSQL something every few seconds

TRY_TO_LEAD = "SELECT pg_try_advisory_lock(%(lock)s)"

# Keep-alives do not notice a stopped process or a host that is only cut off, and its session would keep the lock.
END_SILENT_LEADER = """
    SELECT activity.application_name, pg_terminate_backend(activity.pid, 1000)
    FROM pg_catalog.pg_locks AS lock
    JOIN pg_catalog.pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted
        AND lock.classid = 0 AND lock.objid = %(lock)s AND lock.objsubid = 1
        AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
        AND activity.state_change < clock_timestamp() - make_interval(secs => %(silence)s)
        -- busy with a statement is not silent, but for one whose answer nobody takes
        AND (activity.state <> 'active' OR activity.wait_event_type = 'Client')
"""

LOCK_HOLDER = """
    SELECT activity.pid, activity.usename, activity.application_name
    FROM pg_catalog.pg_locks AS lock
    JOIN pg_catalog.pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted
        AND lock.classid = 0 AND lock.objid = %(lock)s AND lock.objsubid = 1
        AND lock.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = current_database())
"""
STANDBYS = """
    SELECT count(*) FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, %(session)s) AND pid <> pg_backend_pid()
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


def lock_holder(cursor: cursor) -> LockHolder | None:
    """Return the session that holds the lock of the leader; None if it is free."""
    cursor.execute(LOCK_HOLDER, {"lock": LOCK})
    row = cursor.fetchone()
    return LockHolder(*row) if row else None


def has_standby(database: connection) -> bool:
    """Return True if another scheduler is connected."""
    [(count,)] = rows(database, STANDBYS, session=SESSION)
    return bool(count)


def try_to_lead(database: connection) -> bool:
    """Take the lock if it is free; it is held until the connection ends.

    A holder that has been silent for too long is ended first; after an outage, that is this scheduler's own
    session of before. A leader is only ever the more efficient way: two at once do no harm.
    """
    return _try(database) or (_end_silent_leader(database) and _try(database))


def _try(database: connection) -> bool:
    [(leads,)] = rows(database, TRY_TO_LEAD, lock=LOCK)
    return bool(leads)


def _end_silent_leader(database: connection) -> bool:
    """Whether there was one, and it is ended."""
    ended = rows(database, END_SILENT_LEADER, lock=LOCK, silence=SILENCE)
    for name, is_ended in ended:
        log.warning(
            "leader %s has been silent for %s s: its session is %s", name, SILENCE, "ended" if is_ended else "left"
        )
    return any(is_ended for _, is_ended in ended)
