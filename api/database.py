"""One connection to PostgreSQL for each of waitress's threads."""

import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from psycopg2.extensions import connection, cursor

from core import postgres

STATEMENT_TIMEOUT = 5  # seconds; a caller waits, and with it one of the few threads


class Database:
    """Opens connections when they are needed, and again when the server has closed them."""

    def __init__(self, url: str) -> None:
        """Connect at the first use, not here: the API starts, and says what is wrong, without PostgreSQL."""
        self._url = url
        self._local = threading.local()

    @contextmanager
    def reading(self) -> Iterator[cursor]:
        """Ask what needs no common state: each statement is a transaction, and so one round trip instead of three."""
        with self._connection().cursor() as statements:
            yield statements

    @contextmanager
    def transaction(self) -> Iterator[cursor]:
        """Commit at the end of the block, or nothing of it is done."""
        opened = self._connection()
        opened.autocommit = False
        try:
            with opened.cursor() as statements:
                yield statements
            opened.commit()
        finally:
            # Not on a connection that was lost: it would fail, and hide why it was lost.
            if not opened.closed:
                opened.rollback()
                opened.autocommit = True

    def _connection(self) -> connection:
        opened: connection | None = getattr(self._local, "connection", None)
        if opened is None or opened.closed or _has_news(opened):
            opened = self._local.connection = postgres.connect(
                self._url, "cyclic-metrics api", statement_timeout=STATEMENT_TIMEOUT
            )
        return opened


def _has_news(opened: connection) -> bool:
    """Whether the server said something unasked, and that is its farewell."""
    return bool(select.select([opened], [], [], 0)[0])
