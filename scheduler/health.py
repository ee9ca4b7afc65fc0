"""Health check of the scheduler of this host: python -m scheduler.health."""

import socket
import sys
from contextlib import closing

import psycopg2
from psycopg2.extensions import connection

from core import postgres
from core.leader_lock import APPLICATION_NAME
from scheduler.queries import rows
from scheduler.settings import settings

HEARTBEAT_TIMEOUT = 15  # seconds without a statement; a leader runs one every 3 seconds, a standby every second

# PostgreSQL truncates names to 63 bytes.
IDLE_SECONDS = """
    SELECT extract(epoch FROM clock_timestamp() - max(state_change))::float
    FROM pg_catalog.pg_stat_activity
    WHERE datname = current_database() AND starts_with(application_name, left(%(name)s, 63))
"""


def problem(database: connection, host: str, heartbeat_timeout: float = HEARTBEAT_TIMEOUT) -> str | None:
    """Return the problem of the scheduler of a host, as PostgreSQL sees it; None if it is healthy."""
    [(idle_seconds,)] = rows(database, IDLE_SECONDS, name=f"{APPLICATION_NAME}{host}:")
    if idle_seconds is None:
        return f"no scheduler of {host} is connected to PostgreSQL"
    if idle_seconds > heartbeat_timeout:
        return f"the scheduler of {host} has not queried PostgreSQL for {idle_seconds:.0f} s"
    return None


def main() -> None:
    """Exit with 0 if it is healthy; otherwise print the problem and exit with 1."""
    try:
        with closing(postgres.connect(settings().database_url, "cyclic-metrics health")) as database:
            sys.exit(problem(database, socket.gethostname()))
    except psycopg2.Error as error:
        sys.exit(f"PostgreSQL: {error}")


if __name__ == "__main__":
    main()
