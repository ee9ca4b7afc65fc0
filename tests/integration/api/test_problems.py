"""Responses while PostgreSQL or Redis fails with an error of its own: 503, with its message."""

import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg2
import pytest
from flask.testing import FlaskClient
from psycopg2 import sql

from api.main import create_app
from api.settings import Settings
from devstack.ports import HOST
from tests.support.api_responses import problem
from tests.support.databases import MODEL, Connection, Databases, execute, fetch_value

CRON_PREVIEW = "/cron?expression=*+*+*+*+*"
FAILING_CLOCK = """
    CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE plpgsql VOLATILE PARALLEL SAFE AS $$
    BEGIN {} RETURN now(); END $$
"""


@pytest.mark.parametrize(
    "state",
    [
        "query_canceled",
        "too_many_connections",
        "out_of_memory",
        "disk_full",
        "deadlock_detected",
        "serialization_failure",
        "read_only_sql_transaction",
        "cannot_connect_now",
    ],
)
def test_temporary_postgresql_error_is_503_with_its_message(client: FlaskClient, db: Connection, state: str) -> None:
    execute(db, FAILING_CLOCK.format(f"RAISE EXCEPTION 'not now' USING ERRCODE = '{state}';"))

    response = client.get(CRON_PREVIEW)

    assert problem(response) == (503, "unavailable")
    assert response.json["detail"] == "PostgreSQL says: not now; try again in a moment."  # type: ignore[index]


def test_lock_timeout_is_503_with_its_message(client: FlaskClient, db: Connection, database_url: str) -> None:
    execute(db, FAILING_CLOCK.format("SET LOCAL lock_timeout = '50ms'; PERFORM FROM public.leader;"))
    blocker = psycopg2.connect(database_url)
    execute(blocker, "LOCK TABLE leader")

    response = client.get(CRON_PREVIEW)

    blocker.close()
    assert problem(response) == (503, "unavailable")
    assert "PostgreSQL says: canceling statement due to lock timeout" in response.json["detail"]  # type: ignore[index]


def test_server_shutdown_during_a_query_is_503_with_its_message(client: FlaskClient, db: Connection) -> None:
    execute(db, FAILING_CLOCK.format("PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(10);"))

    response = client.get(CRON_PREVIEW)

    assert problem(response) == (503, "unavailable")
    assert "PostgreSQL says: terminating connection due to administrator command" in response.json["detail"]  # type: ignore[index]


def test_connection_limit_of_the_database_is_503_with_its_message(client: FlaskClient, db: Connection) -> None:
    database = sql.Identifier(fetch_value(db, "SELECT current_database()"))
    limit = sql.SQL("ALTER DATABASE {} CONNECTION LIMIT {}")
    execute(db, limit.format(database, sql.Literal(0)).as_string(db))

    try:
        response = client.get(CRON_PREVIEW)
    finally:  # the database is lent to other tests
        execute(db, limit.format(database, sql.Literal(-1)).as_string(db))

    assert problem(response) == (503, "unavailable")
    assert "PostgreSQL says: too many connections for database" in response.json["detail"]  # type: ignore[index]


class FailingRedis(socketserver.StreamRequestHandler):
    """Replies to each command with the same error."""

    redis_error: bytes

    def handle(self) -> None:
        while count := self.rfile.readline()[1:]:
            for _ in range(int(count)):
                length = int(self.rfile.readline()[1:])
                self.rfile.read(length + len(b"\r\n"))
            self.wfile.write(b"-" + self.redis_error + b"\r\n")


@contextmanager
def failing_redis(redis_error: str) -> Iterator[str]:
    handler = type("Handler", (FailingRedis,), {"redis_error": redis_error.encode()})
    with socketserver.ThreadingTCPServer((HOST, 0), handler) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=[0.01], daemon=True).start()
        yield f"redis://{HOST}:{server.server_address[1]}/0"
        server.shutdown()


@pytest.mark.parametrize(
    ("redis_error", "reason"),
    [
        (
            "OOM command not allowed when used memory > 'maxmemory'.",
            "command not allowed when used memory > 'maxmemory'",
        ),
        ("READONLY You can't write against a read only replica.", "You can't write against a read only replica"),
        ("LOADING Redis is loading the dataset in memory", "Redis is loading the dataset in memory"),
        ("MASTERDOWN Link with MASTER is down", "Link with MASTER is down"),
        ("NOPERM this user has no permissions to run this command", "this user has no permissions"),
    ],
)
def test_redis_error_reply_is_503_with_its_message(
    databases: Databases, database_url: str, redis_error: str, reason: str
) -> None:
    with failing_redis(redis_error) as redis_url:
        env = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}
        client = create_app(Settings.from_env(env)).test_client()
        results, ready, status = (client.get(path) for path in (f"/results/{MODEL}", "/readyz", "/status"))

    assert [response.status_code for response in (results, ready, status)] == [503, 503, 503]
    assert problem(results) == problem(ready) == (503, "unavailable")
    assert f"Redis says: {reason}" in results.json["detail"]  # type: ignore[index]
    assert ready.json["detail"] == "no answer from Redis"  # type: ignore[index]
    assert "Redis does not answer" in status.json["problems"]  # type: ignore[index]
