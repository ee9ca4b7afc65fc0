"""Connections to PostgreSQL on which nothing waits for ever.

Importing this module makes psycopg2 wait in Python for the whole process: a silent
server ends in an error, and a signal is handled while a query runs.
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
STATEMENT_TIMEOUT = 20  # seconds; the server ends a longer statement
LOCK_TIMEOUT = 5  # seconds; half of a statement's time where that is less
SILENCE = 2.0  # seconds beyond a statement's time; a server that says no word for so long counts as gone

# A host that is cut off, or vanished, is noticed by the system while a statement runs, and between two.
KEEP_ALIVE: dict[str, Any] = {
    "keepalives_idle": 5,  # seconds
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}
# The server ends a statement whose client has died, even while it waits for a lock: a leader's successor waits for it.
CHECK_INTERVAL = "500ms"

# PostgreSQL has times that Python has no datetime for: infinite ones, and years before 1 and after 9999. They are read
# as these; a year of reserve leaves room for the offset of any time zone.
EARLIEST = datetime(2, 1, 1, tzinfo=UTC)
LATEST = datetime(9998, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)
TIMESTAMPTZ = 1184  # PostgreSQL's number of the type


class Connection(connection):
    """A connection that knows how long its server may be silent."""

    patience: float = CONNECT_TIMEOUT  # seconds


def connect(url: str, application_name: str, *, statement_timeout: int = STATEMENT_TIMEOUT) -> Connection:
    """Open a connection in autocommit mode, with time limits (seconds) on whatever it does."""
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
    opened.patience = statement_timeout + SILENCE
    return opened


def first_line(error: BaseException) -> str:
    """Return what an error says, without the details and hints that PostgreSQL writes below."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def _read_timestamptz(text: str | bytes | None, cursor_: cursor) -> datetime | None:
    try:
        instant: datetime | None = PYDATETIMETZ(text, cursor_)
    except (ValueError, OverflowError):
        return EARLIEST if str(text).endswith("BC") else LATEST
    if instant is None or EARLIEST.year <= instant.year <= LATEST.year:
        return instant
    return EARLIEST if instant.year < EARLIEST.year else LATEST


_READ_TIMESTAMPTZ = new_type((TIMESTAMPTZ,), "TIMESTAMPTZ", _read_timestamptz)


def _wait(waiting: connection) -> None:
    patience = getattr(waiting, "patience", STATEMENT_TIMEOUT + SILENCE)  # others may connect in their own way
    while (state := waiting.poll()) != POLL_OK:
        poller = select.poll()
        poller.register(waiting.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not poller.poll(patience * 1000):
            raise OperationalError(f"PostgreSQL has not answered for {patience:.0f} seconds")


set_wait_callback(_wait)
