"""Connections to PostgreSQL: timeouts, and timestamps that Python cannot represent."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime

import psycopg2
import pytest

from core import postgres
from tests.support.databases import Databases, execute, fetch_all
from tests.support.proxy import Proxy


def test_connection_attempt_and_statement_end_with_an_error_if_the_server_is_unresponsive(
    databases: Databases, database_url: str
) -> None:
    def fail(call: Callable[[], object]) -> float:
        """Return the seconds until the call fails."""
        started_at = time.monotonic()
        with pytest.raises(psycopg2.OperationalError, match="has not responded for 3 seconds"):
            call()
        return time.monotonic() - started_at

    with Proxy(databases.url_as("metrics_scheduler", database_url)) as network, ThreadPoolExecutor(2) as threads:
        database = postgres.connect(network.url, "tests", statement_timeout=1)
        network.silence()
        calls = [lambda: execute(database, "SELECT 1"), lambda: postgres.connect(network.url, "tests")]

        for seconds in threads.map(fail, calls):
            assert 2.9 < seconds < 5.0
        assert database.closed


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("infinity", postgres.MAX_TIMESTAMP),
        ("-infinity", postgres.MIN_TIMESTAMP),
        ("20000-01-01", postgres.MAX_TIMESTAMP),
        ("0044-03-15 BC", postgres.MIN_TIMESTAMP),
        ("0001-01-01 00:00+00", postgres.MIN_TIMESTAMP),
        ("9999-12-31 23:59:59+00", postgres.MAX_TIMESTAMP),
        ("2026-11-24 12:00:00.5+02", datetime(2026, 11, 24, 10, 0, 0, 500000, UTC)),
    ],
)
@pytest.mark.parametrize("zone", ["UTC", "Pacific/Kiritimati", "Pacific/Pago_Pago"])
def test_timestamps_that_python_cannot_represent_are_read_as_the_minimum_or_maximum(
    database_url: str, text: str, expected: datetime, zone: str
) -> None:
    with closing(postgres.connect(database_url, "tests")) as session:
        execute(session, f"SET timezone = '{zone}'")
        [(timestamp, null)] = fetch_all(session, "SELECT %s::timestamptz, NULL::timestamptz", text)

    assert timestamp == expected
    assert timestamp.astimezone(UTC) == expected
    assert null is None
