"""Calls at the same time that meet at a lock."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg2
from flask.testing import FlaskClient

from tests.support.databases import Connection, one, run, wait_for

Call = Callable[[FlaskClient], Any]
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


def meanwhile(
    client: FlaskClient,
    db: Connection,
    database_url: str,
    statement: str,
    *calls: Call,
    before_the_end: Call | None = None,
) -> list[Any]:
    """Begin the calls while a transaction that did the statement is open; it commits when all of them wait.

    Before it does, one more may be made; its answer is the last.
    """
    busy = psycopg2.connect(database_url)
    run(busy, statement)
    with ThreadPoolExecutor(len(calls)) as threads:
        answers = [threads.submit(call, client.application.test_client()) for call in calls]
        try:
            wait_for(lambda: one(db, WAITING) == len(calls))
            last = [before_the_end(client.application.test_client())] if before_the_end else []
            busy.commit()
        finally:
            busy.close()
        return [*(answer.result(timeout=60) for answer in answers), *last]
