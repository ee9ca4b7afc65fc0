"""Who leads: the one session of PostgreSQL that holds an advisory lock."""

import logging

from psycopg2.extensions import connection

from core.leader_lock import APPLICATION_NAME, LEADER_LOCK
from scheduler.queries import rows

log = logging.getLogger(__name__)

LEADER_TIMEOUT = 8  # seconds; a leader asks PostgreSQL something every few seconds

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

STANDBYS = """
    SELECT count(*) FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, %(session)s) AND pid <> pg_backend_pid()
"""


def has_standby(database: connection) -> bool:
    """Return True if another scheduler is connected."""
    [(count,)] = rows(database, STANDBYS, session=APPLICATION_NAME)
    return bool(count)


def try_to_lead(database: connection) -> bool:
    """Take the lock if it is free; it is held until the connection ends.

    A holder that has been silent for too long is ended first; after an outage, that is this scheduler's own
    session of before. A leader is only ever the more efficient way: two at once do no harm.
    """
    return _try(database) or (_end_silent_leader(database) and _try(database))


def _try(database: connection) -> bool:
    [(leads,)] = rows(database, TRY_TO_LEAD, lock=LEADER_LOCK)
    return bool(leads)


def _end_silent_leader(database: connection) -> bool:
    """Whether there was one, and it is ended."""
    ended = rows(database, END_SILENT_LEADER, lock=LEADER_LOCK, silence=LEADER_TIMEOUT)
    for name, is_ended in ended:
        log.warning(
            "leader %s has been silent for %s s: its session is %s",
            name,
            LEADER_TIMEOUT,
            "ended" if is_ended else "left",
        )
    return any(is_ended for _, is_ended in ended)
