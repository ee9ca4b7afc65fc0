"""What can happen to PostgreSQL and Redis, and to the networks in between."""

import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress

import psycopg2

from tests.chaos.world import World, fault
from tests.support.databases import Connection, run
from tests.support.proxy import Proxy

SLOW = 0.2  # seconds
MOST_CONNECTIONS = 60


@fault("PostgreSQL: kill -9", "postgres")
def kill_postgres(world: World) -> None:
    world.stack.postgres_server.kill()
    world.wait_for(world.stack.is_postgres_there, 30)


@fault("PostgreSQL: fast restart", "postgres")
def restart_postgres(world: World) -> None:
    os.kill(world.stack.postgres_server.process.pid, signal.SIGINT)
    world.wait_for(lambda: not world.stack.postgres_server.process.alive)
    world.wait_for(world.stack.is_postgres_there, 30)


@fault("PostgreSQL: one process cut off", "postgres network")
def silence_postgres_for_one(world: World) -> None:
    silence(world, [world.any_service().postgres])


@fault("PostgreSQL: all cut off", "postgres network")
def silence_postgres(world: World) -> None:
    silence(world, [service.postgres for service in world.stack.services])


@fault("PostgreSQL: connections cut", "postgres network")
def cut_postgres(world: World) -> None:
    cut(world, [service.postgres for service in world.stack.services])


@fault("PostgreSQL: connections refused", "postgres network")
def refuse_postgres(world: World) -> None:
    refuse(world, [world.any_service().postgres])


@fault("PostgreSQL: table locked for 7 s", "locks")
def lock_table(world: World) -> None:
    with transaction(world) as db:
        run(db, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        world.pause(7)


@fault("PostgreSQL: idle in transaction", "locks")
def idle_in_transaction(world: World) -> None:
    with transaction(world) as db:
        run(
            db,
            "UPDATE metrics_executions SET enabled = NOT enabled WHERE id IN"
            " (SELECT id FROM metrics_executions WHERE name = 'other' ORDER BY random() LIMIT 100)",
        )
        world.between(5, 10)


@fault("PostgreSQL: out of connections", "postgres network")
def use_up_connections(world: World) -> None:
    opened: list[Connection] = []
    try:
        with suppress(psycopg2.OperationalError):
            while len(opened) < MOST_CONNECTIONS:
                opened.append(psycopg2.connect(world.stack.client_url, connect_timeout=3))
        world.any_service().postgres.cut()  # that one would like to connect again
        world.pause(5)
    finally:
        for connection in opened:
            connection.close()


@fault("Redis: kill -9", "redis")
def kill_redis(world: World) -> None:
    world.stack.redis_server.kill()
    world.wait_for(world.stack.is_redis_there, 30)


@fault("Redis: one process cut off", "redis network")
def silence_redis_for_one(world: World) -> None:
    silence(world, [world.any_service().redis])


@fault("Redis: all cut off", "redis network")
def silence_redis(world: World) -> None:
    silence(world, [service.redis for service in world.stack.services])


@fault("Redis: connections cut", "redis network")
def cut_redis(world: World) -> None:
    cut(world, [service.redis for service in world.stack.services])


@fault("Redis: connections refused", "redis network")
def refuse_redis(world: World) -> None:
    refuse(world, [world.any_service().redis])


@fault("Redis: slow", "redis network")
def slow_redis(world: World) -> None:
    proxies = [service.redis for service in world.stack.services]
    try:
        for proxy in proxies:
            proxy.delay = SLOW
        world.between(3, 10)
    finally:
        for proxy in proxies:
            proxy.delay = 0.0


@fault("Redis: full for 5 s", "redis")
def fill_redis(world: World) -> None:
    # It is not in the configuration file: a Redis that restarts meanwhile is not full any more.
    with world.stack.client() as client:
        client.config_set("maxmemory", 1)
        try:
            world.pause(5)
        finally:
            client.config_set("maxmemory", 0)


def silence(world: World, proxies: Sequence[Proxy]) -> None:
    with resumed(proxies):
        for proxy in proxies:
            proxy.silence()
        world.between(3, 15)


def refuse(world: World, proxies: Sequence[Proxy]) -> None:
    with resumed(proxies):
        for proxy in proxies:
            proxy.refuse()
        world.between(2, 8)


def cut(world: World, proxies: Sequence[Proxy]) -> None:
    """Cut one connection or those of all."""
    for proxy in proxies if world.rng.random() < 0.5 else [world.rng.choice(proxies)]:
        proxy.cut()


@contextmanager
def resumed(proxies: Sequence[Proxy]) -> Iterator[None]:
    try:
        yield
    finally:
        for proxy in proxies:
            proxy.resume()


@contextmanager
def transaction(world: World) -> Iterator[Connection]:
    with closing(psycopg2.connect(world.stack.owner_url, connect_timeout=3, application_name="chaos")) as db:
        yield db
        db.commit()
