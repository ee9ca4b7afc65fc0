"""Connections to PostgreSQL and Redis, one of each per process of the pool."""

from datetime import timedelta
from functools import cache

import redis

from core import postgres
from core.postgres import Connection
from core.redis import create_client
from core.results.repository import ResultStore
from worker.app import GRACE_PERIOD, SHUTDOWN_TIMEOUT, settings

_connections: dict[str, Connection] = {}


def database() -> Connection:
    """Return the connection to PostgreSQL; opened again where it was closed."""
    conn = _connections.get("database")
    if conn is None or conn.closed:
        # An unresponsive server is detected within the batch's time limit: else it would look like a long calculation.
        statement_timeout = max(1, min(postgres.STATEMENT_TIMEOUT, settings.time_limit // 3))
        conn = postgres.connect(settings.database_url, "cyclic-metrics worker", statement_timeout=statement_timeout)
        _connections["database"] = conn
    return conn


@cache
def redis_client() -> redis.Redis:
    """Return the client of Redis."""
    return create_client(settings.redis_url)


@cache
def result_store() -> ResultStore:
    """Return the store of results."""
    batch_time = timedelta(seconds=settings.time_limit + GRACE_PERIOD + SHUTDOWN_TIMEOUT)
    return ResultStore(
        redis_client(), history=settings.result_history, ttl_days=settings.result_ttl_days, batch_time=batch_time
    )
