"""Schedulers: one that leads inside the test, which takes its steps one by one, and others as processes."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from core import postgres
from devstack.services import SCHEDULER
from scheduler.leader import Leader
from scheduler.queue import Queue
from scheduler.settings import Settings
from tests.support.databases import Connection, Databases, one, run, wait_for
from tests.support.processes import Service, is_leader, running_service

BEFORE = "2026-11-24 11:59:30+00"
NOON = "2026-11-24 12:00:00+00"
SETTINGS = {"DATABASE_URL": "postgresql://unused", "REDIS_URL": "redis://unused", "BATCH_SIZE": "10"}

SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name LIKE 'cyclic-metrics scheduler %' AND datname = current_database()
"""

Start = Callable[..., Leader]
Run = Callable[..., Service]


@pytest.fixture
def start(databases: Databases, database_url: str, redis_client: redis.Redis) -> Iterator[Start]:
    """Return a function that makes a leader, on a session of its own; settings are given as in the environment."""
    with ExitStack() as sessions:

        def make(**env: str) -> Leader:
            database = postgres.connect(databases.url_as("metrics_scheduler", database_url), "tests")
            sessions.callback(database.close)
            return Leader(database, Queue(redis_client), Settings.from_env(SETTINGS | env), "tests")

        yield make


def work(leader: Leader) -> None:
    """Let the leader do whatever there is to do by the database's clock."""
    run(leader._database, "SELECT")  # noqa: SLF001  # its answer brings the announcements of what was committed before
    for _ in range(10_000):
        if not leader.step():
            return
    raise AssertionError("the leader finds no end")


@pytest.fixture
def run_scheduler(databases: Databases, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Run]:
    """Return a function that starts a scheduler; variables are given as in the environment."""
    with ExitStack() as services:
        env = {"DATABASE_URL": databases.url_as("metrics_scheduler", database_url), "REDIS_URL": redis_url}

        def start(command: list[str] = SCHEDULER, **variables: str) -> Service:
            log = tmp_path / f"scheduler-{len(list(tmp_path.iterdir()))}.log"
            return services.enter_context(running_service(command, env | variables, log))

        yield start


def with_standby(db: Connection, first: Service, run_scheduler: Run) -> Service:
    """Return a second scheduler, connected, which waits for the first one to end."""
    wait_for(lambda: is_leader(db, first))
    second = run_scheduler()
    wait_for(lambda: one(db, SESSIONS) == 2)
    return second
