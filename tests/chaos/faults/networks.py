"""Faults of the networks between services and servers."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.registry import fault
from tests.support.proxy import Proxy

LATENCY = 0.2  # seconds


@fault("PostgreSQL: one process cut off", "postgres network")
def silence_postgres_for_one(context: FaultContext) -> None:
    silence(context, [context.random_service().postgres])


@fault("PostgreSQL: all cut off", "postgres network")
def silence_postgres(context: FaultContext) -> None:
    silence(context, postgres_proxies(context))


@fault("PostgreSQL: connections cut", "postgres network")
def cut_postgres(context: FaultContext) -> None:
    cut(context, postgres_proxies(context))


@fault("PostgreSQL: connections refused", "postgres network")
def refuse_postgres(context: FaultContext) -> None:
    refuse(context, [context.random_service().postgres])


@fault("Redis: one process cut off", "redis network")
def silence_redis_for_one(context: FaultContext) -> None:
    silence(context, [context.random_service().redis])


@fault("Redis: all cut off", "redis network")
def silence_redis(context: FaultContext) -> None:
    silence(context, redis_proxies(context))


@fault("Redis: connections cut", "redis network")
def cut_redis(context: FaultContext) -> None:
    cut(context, redis_proxies(context))


@fault("Redis: connections refused", "redis network")
def refuse_redis(context: FaultContext) -> None:
    refuse(context, [context.random_service().redis])


@fault("Redis: slow", "redis network")
def slow_redis(context: FaultContext) -> None:
    proxies = redis_proxies(context)
    try:
        for proxy in proxies:
            proxy.delay = LATENCY
        context.wait_between(3, 10)
    finally:
        for proxy in proxies:
            proxy.delay = 0.0


def postgres_proxies(context: FaultContext) -> Sequence[Proxy]:
    return [service.postgres for service in context.system.services]


def redis_proxies(context: FaultContext) -> Sequence[Proxy]:
    return [service.redis for service in context.system.services]


def silence(context: FaultContext, proxies: Sequence[Proxy]) -> None:
    with resumed(proxies):
        for proxy in proxies:
            proxy.silence()
        context.wait_between(3, 15)


def refuse(context: FaultContext, proxies: Sequence[Proxy]) -> None:
    with resumed(proxies):
        for proxy in proxies:
            proxy.refuse()
        context.wait_between(2, 8)


def cut(context: FaultContext, proxies: Sequence[Proxy]) -> None:
    """Cut the connections of one proxy or of all."""
    for proxy in proxies if context.rng.random() < 0.5 else [context.rng.choice(proxies)]:
        proxy.cut()


@contextmanager
def resumed(proxies: Sequence[Proxy]) -> Iterator[None]:
    """Let the proxies forward again after the block."""
    try:
        yield
    finally:
        for proxy in proxies:
            proxy.resume()
