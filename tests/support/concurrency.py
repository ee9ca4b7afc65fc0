"""Concurrent API calls that wait for a lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
from flask.testing import FlaskClient

from tests.support.databases import Connection, execute, fetch_value, wait_for

Call = Callable[[FlaskClient], Any]
COUNT_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def call_while_locked(
    client: FlaskClient,
    db: Connection,
    database_url: str,
    statement: str,
    *calls: Call,
    before_commit: Call | None = None,
) -> list[Any]:
    """Start the calls while a transaction with the statement is open; it commits when all of them wait for it.

    Another call may be made just before the commit; its response is the last.
    """
    transaction = psycopg2.connect(database_url)
    execute(transaction, statement)
    with ThreadPoolExecutor(len(calls)) as threads:
        futures = [threads.submit(call, client.application.test_client()) for call in calls]
        try:
            wait_for(lambda: fetch_value(db, COUNT_WAITING) == len(calls))
            last = [before_commit(client.application.test_client())] if before_commit else []
            transaction.commit()
        finally:
            transaction.close()
        return [*(future.result(timeout=60) for future in futures), *last]
