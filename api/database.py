"""PostgreSQL connections, one per thread of the server."""

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import connection, cursor

from core import postgres

STATEMENT_TIMEOUT = 5  # seconds; a client waits, and occupies one of the few threads


class Database:
    """Connects lazily, and reconnects when the server has closed the connection."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._local = threading.local()

    @contextmanager
    def autocommit(self) -> Iterator[cursor]:
        """Yield a cursor whose statements are transactions of their own: one round trip each instead of three."""
        with self._connection().cursor() as cur:
            yield cur

    @contextmanager
    def transaction(self) -> Iterator[cursor]:
        """Yield a cursor; commit at the end of the block, roll back on an exception."""
        conn = self._connection()
        conn.autocommit = False
        try:
            with conn.cursor() as cur:
                yield cur
            conn.commit()
        finally:
            # A rollback on a lost connection would fail, and hide why it was lost.
            if not conn.closed:
                conn.rollback()
                conn.autocommit = True

    def _connection(self) -> connection:
        conn: connection | None = getattr(self._local, "connection", None)
        if conn is None or conn.closed or _is_closed_by_server(conn):
            conn = self._local.connection = postgres.connect(
                self._url, "cyclic-metrics api", statement_timeout=STATEMENT_TIMEOUT
            )
        return conn


def _is_closed_by_server(conn: connection) -> bool:
    """Return True if unsolicited data is readable: the server announced that it closes the connection."""
    return bool(select.select([conn], [], [], 0)[0])
