"""A leading scheduler inside the test, whose steps the test takes one by one."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
import redis
from celery import Celery

from scheduler.broker import Broker
from scheduler.leader import Leader
from scheduler.settings import Settings
from tests.databases import Databases
from worker import postgres

BEFORE = "2026-11-24 11:59:30+00"
NOON = "2026-11-24 12:00:00+00"
SETTINGS = {"DATABASE_URL": "", "REDIS_URL": "", "BATCH_SIZE": "10"}

Start = Callable[..., Leader]


@pytest.fixture
def start(databases: Databases, database_url: str, redis_url: str, redis_client: redis.Redis) -> Iterator[Start]:
    """Return a function that makes a leader, on a session of its own; settings are given as in the environment."""
    with ExitStack() as sessions:
        app = Celery("tests", broker=redis_url)
        sessions.callback(app.close)

        def make(**env: str) -> Leader:
            database = postgres.connect(databases.url_as("metrics_scheduler", database_url), "tests")
            sessions.callback(database.close)
            return Leader(database, Broker(app, redis_client), Settings.from_env(SETTINGS | env), "tests")

        yield make


def work(leader: Leader) -> None:
    """Let the leader do whatever there is to do by the database's clock."""
    for _ in range(10_000):
        if not leader.step():
            return
    raise AssertionError("the leader finds no end")
