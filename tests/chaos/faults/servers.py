"""Faults of PostgreSQL and Redis."""

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress

import psycopg2

from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.registry import fault
from tests.chaos.system import CONNECT_TIMEOUT
from tests.support.databases import Connection, execute

SERVER_TIMEOUT = 30  # seconds until a killed server accepts connections again
MAX_CONNECTIONS = 60  # more than PostgreSQL accepts
UPDATE_SOME = """
    UPDATE metrics_executions SET enabled = NOT enabled
    WHERE id IN (SELECT id FROM metrics_executions WHERE name = 'other' ORDER BY random() LIMIT 100)
"""


@fault("PostgreSQL: kill -9", "postgres")
def kill_postgres(context: FaultContext) -> None:
    context.system.postgres_server.kill()
    context.wait_for(context.system.is_postgres_up, SERVER_TIMEOUT)


@fault("PostgreSQL: fast restart", "postgres")
def restart_postgres(context: FaultContext) -> None:
    process = context.system.postgres_server.process
    os.kill(process.pid, signal.SIGINT)
    context.wait_for(lambda: not process.alive)
    context.wait_for(context.system.is_postgres_up, SERVER_TIMEOUT)


@fault("PostgreSQL: table locked for 7 s", "locks")
def lock_table(context: FaultContext) -> None:
    with transaction(context) as db:
        execute(db, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        context.wait(7)


@fault("PostgreSQL: idle in transaction", "locks")
def idle_in_transaction(context: FaultContext) -> None:
    with transaction(context) as db:
        execute(db, UPDATE_SOME)
        context.wait_between(5, 10)


@fault("PostgreSQL: out of connections", "postgres network")
def exhaust_connections(context: FaultContext) -> None:
    connections: list[Connection] = []
    try:
        with suppress(psycopg2.OperationalError):
            while len(connections) < MAX_CONNECTIONS:
                connections.append(psycopg2.connect(context.system.client_url, connect_timeout=CONNECT_TIMEOUT))
        context.random_service().postgres.cut()  # has to reconnect
        context.wait(5)
    finally:
        for connection in connections:
            connection.close()


@fault("Redis: kill -9", "redis")
def kill_redis(context: FaultContext) -> None:
    context.system.redis_server.kill()
    context.wait_for(context.system.is_redis_up, SERVER_TIMEOUT)


@fault("Redis: full for 5 s", "redis")
def fill_redis(context: FaultContext) -> None:
    # Not in the configuration file: after a restart, Redis has its usual limit.
    with context.system.redis_client() as client:
        client.config_set("maxmemory", 1)
        try:
            context.wait(5)
        finally:
            client.config_set("maxmemory", 0)


@contextmanager
def transaction(context: FaultContext) -> Iterator[Connection]:
    connection = psycopg2.connect(context.system.owner_url, connect_timeout=CONNECT_TIMEOUT, application_name="chaos")
    with closing(connection):
        yield connection
        connection.commit()
