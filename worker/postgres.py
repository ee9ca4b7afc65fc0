"""Connections to PostgreSQL on which nothing waits for ever.

Importing this module makes psycopg2 wait in Python for the whole process: a silent
server ends in an error, and a signal is handled while a query runs.
"""

import select
import time
from collections.abc import Generator, Mapping
from typing import Any

import psycopg2
from psycopg2 import OperationalError
from psycopg2.extensions import POLL_OK, POLL_READ, connection, set_wait_callback

STATEMENT_TIMEOUT = 20  # seconds; the server ends a longer statement
LOCK_TIMEOUT = 5  # seconds
SILENCE = 30  # seconds without a word from the server, after which it counts as gone


def connect(url: str, application_name: str) -> connection:
    """Open a connection in autocommit mode, with time limits on whatever it does."""
    opened: connection = psycopg2.connect(url, application_name=application_name)
    opened.autocommit = True
    with opened.cursor() as cursor:
        cursor.execute(
            "SELECT set_config('statement_timeout', %s, false), set_config('lock_timeout', %s, false)",
            (f"{STATEMENT_TIMEOUT}s", f"{LOCK_TIMEOUT}s"),
        )
    return opened


def stream(
    database: connection, query: str, values: Mapping[str, Any], at_a_time: int
) -> Generator[list[tuple[Any, ...]]]:
    """Yield the rows of a query, at_a_time of them in memory, from a cursor of the server.

    The connection is in a transaction until the last row, or until the
    iterator is closed: use contextlib.closing where the loop may end early.
    """
    database.autocommit = False
    try:
        with database.cursor(name="stream") as cursor:
            cursor.execute(query, values)
            while rows := cursor.fetchmany(at_a_time):
                yield rows
    finally:
        if not database.closed:
            database.rollback()
            database.autocommit = True


def _wait(waiting: connection) -> None:
    deadline = time.monotonic() + SILENCE
    while (state := waiting.poll()) != POLL_OK:
        poller = select.poll()
        poller.register(waiting.fileno(), select.POLLIN if state == POLL_READ else select.POLLOUT)
        if not poller.poll(max(0.0, deadline - time.monotonic()) * 1000):
            raise OperationalError(f"PostgreSQL has not answered for {SILENCE} seconds")


set_wait_callback(_wait)
