"""PostgreSQL connections with time limits on everything.

Importing this module makes psycopg2 wait in Python, for the whole process: a server that does not respond causes an
error, and signals are handled while a query runs.
"""

import select
from datetime import UTC, datetime
from typing import Any

import psycopg2
from psycopg2 import OperationalError
from psycopg2.extensions import (
    POLL_OK,
    POLL_READ,
    PYDATETIMETZ,
    connection,
    cursor,
    new_type,
    register_type,
    set_wait_callback,
)

CONNECT_TIMEOUT = 3.0  # seconds
STATEMENT_TIMEOUT = 20  # seconds; the server cancels a longer statement
LOCK_TIMEOUT = 5  # seconds; half of the statement timeout where that is less
RESPONSE_MARGIN = 2.0  # seconds beyond the statement timeout; a server that sends nothing for so long counts as gone

# The operating system detects a host that is cut off or gone, during a statement and between two.
KEEP_ALIVE: dict[str, Any] = {
    "keepalives_idle": 5,  # seconds
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
# The server cancels a statement whose client has died, even while it waits for a lock: the next leader waits for that.
CHECK_INTERVAL = "500ms"

# PostgreSQL has timestamps that Python has no datetime for: infinity, and years before 1 and after 9999. They are read
# as these; a year to spare leaves room for the offset of any time zone.
MIN_TIMESTAMP = datetime(2, 1, 1, tzinfo=UTC)
MAX_TIMESTAMP = datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
TIMESTAMPTZ_OID = 1184


class Connection(connection):
    """A connection with a limit on the time between two packets of the server."""

    response_timeout: float = CONNECT_TIMEOUT  # seconds


def connect(url: str, application_name: str, *, statement_timeout: int = STATEMENT_TIMEOUT) -> Connection:
    """Open a connection in autocommit mode, with time limits (seconds) on connecting, statements and locks."""
    opened: Connection = psycopg2.connect(
        url, application_name=application_name, connection_factory=Connection, **KEEP_ALIVE
    )
    opened.autocommit = True
    register_type(_READ_TIMESTAMPTZ, opened)
    limits = {
        "statement_timeout": f"{statement_timeout}s",
        "lock_timeout": f"{min(LOCK_TIMEOUT * 1000, statement_timeout * 500)}ms",
        "client_connection_check_interval": CHECK_INTERVAL,
    }
    with opened.cursor() as cursor:
        cursor.execute(
            "SELECT set_config(name, setting, false) FROM unnest(%s, %s) AS limits (name, setting)",
            (list(limits), list(limits.values())),
        )
    opened.response_timeout = statement_timeout + RESPONSE_MARGIN
    return opened


def first_line(error: BaseException) -> str:
    """Return the message of an error without the details and hints that PostgreSQL adds in further lines."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _read_timestamptz(text: str | bytes | None, cursor_: cursor) -> datetime | None:
    try:
        instant: datetime | None = PYDATETIMETZ(text, cursor_)
    except (ValueError, OverflowError):
        return MIN_TIMESTAMP if str(text).endswith("BC") else MAX_TIMESTAMP
    if instant is None or MIN_TIMESTAMP.year <= instant.year <= MAX_TIMESTAMP.year:
        return instant
    return MIN_TIMESTAMP if instant.year < MIN_TIMESTAMP.year else MAX_TIMESTAMP


_READ_TIMESTAMPTZ = new_type((TIMESTAMPTZ_OID,), "TIMESTAMPTZ", _read_timestamptz)


def _wait(waiting: connection) -> None:
    timeout = getattr(waiting, "response_timeout", STATEMENT_TIMEOUT + RESPONSE_MARGIN)  # others connect differently
    while (state := waiting.poll()) != POLL_OK:
        poller = select.poll()
        poller.register(waiting.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not poller.poll(timeout * 1000):
            raise OperationalError(f"PostgreSQL has not responded for {timeout:.0f} seconds")


set_wait_callback(_wait)
