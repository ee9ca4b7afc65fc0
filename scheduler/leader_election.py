"""Leader election: the leader is the session of PostgreSQL that holds an advisory lock."""

import logging

from psycopg2.extensions import connection

from core.leader_lock import APPLICATION_NAME, LEADER_LOCK, LOCK_SESSIONS
from scheduler.queries import rows

log = logging.getLogger(__name__)

LEADER_TIMEOUT = 8.0  # seconds without a statement; a leader runs one every few seconds (leader.HEARTBEAT_INTERVAL)

TRY_TO_LEAD = "SELECT pg_try_advisory_lock(%(lock)s)"

# Keep-alives do not detect a stopped process or a host that is only cut off, and its session would keep the lock.
TERMINATE_UNRESPONSIVE_LEADER = (
    "SELECT activity.application_name, pg_terminate_backend(activity.pid, 1000)"
    + LOCK_SESSIONS
    + """
        AND activity.state_change < clock_timestamp() - make_interval(secs => %(timeout)s)
        -- A session that runs a statement is alive, unless its client does not read the result.
        AND (activity.state <> 'active' OR activity.wait_event_type = 'Client')
"""
)

STANDBYS = """
    SELECT count(*) FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, %(session)s) AND pid <> pg_backend_pid()
"""


def has_standby(database: connection) -> bool:
    """Return True if another scheduler is connected."""
    [(count,)] = rows(database, STANDBYS, session=APPLICATION_NAME)
    return bool(count)


def try_to_lead(database: connection, leader_timeout: float = LEADER_TIMEOUT) -> bool:
    """Take the lock if it is free; it is held until the connection ends.

    The session of an unresponsive holder is terminated first; after an outage, that may be an earlier session of this
    scheduler. A single leader is only more efficient: two at once do no harm.
    """
    return _try(database) or (_terminate_unresponsive_leader(database, leader_timeout) and _try(database))


def _try(database: connection) -> bool:
    [(leads,)] = rows(database, TRY_TO_LEAD, lock=LEADER_LOCK)
    return bool(leads)


def _terminate_unresponsive_leader(database: connection, leader_timeout: float) -> bool:
    """Terminate the session of an unresponsive leader; False if there is none, or it remains."""
    sessions = rows(database, TERMINATE_UNRESPONSIVE_LEADER, lock=LEADER_LOCK, timeout=leader_timeout)
    for name, is_terminated in sessions:
        log.warning(
            "leader %s has been unresponsive for %.0f s: session %s",
            name,
            leader_timeout,
            "terminated" if is_terminated else "remains",
        )
    return any(is_terminated for _, is_terminated in sessions)
