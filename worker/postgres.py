"""Connections to PostgreSQL on which nothing waits for ever.

Importing this module makes psycopg2 wait in Python for the whole process: a silent
server ends in an error, and a signal is handled while a query runs.
"""

import select
from typing import Any

import psycopg2
from psycopg2 import OperationalError
from psycopg2.extensions import POLL_OK, POLL_READ, connection, set_wait_callback

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


class Connection(connection):
    """A connection that knows how long its server may be silent."""

    patience: float = CONNECT_TIMEOUT  # seconds


def connect(url: str, application_name: str, *, statement_timeout: int = STATEMENT_TIMEOUT) -> Connection:
    """Open a connection in autocommit mode, with time limits (seconds) on whatever it does."""
    opened: Connection = psycopg2.connect(
        url, application_name=application_name, connection_factory=Connection, **KEEP_ALIVE
    )
    opened.autocommit = True
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


def _wait(waiting: connection) -> None:
    patience = getattr(waiting, "patience", STATEMENT_TIMEOUT + SILENCE)  # others may connect in their own way
    while (state := waiting.poll()) != POLL_OK:
        poller = select.poll()
        poller.register(waiting.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not poller.poll(patience * 1000):
            raise OperationalError(f"PostgreSQL has not answered for {patience:.0f} seconds")


set_wait_callback(_wait)
