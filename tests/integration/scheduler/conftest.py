"""Fixtures that start leaders inside the test, and schedulers as processes."""

import math
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
import redis

from core import postgres
from devstack.services import SCHEDULER
from scheduler.leader import Leader
from scheduler.queue import PERSIST_TIME, Queue
from scheduler.settings import Settings
from tests.support.databases import MODEL, Connection, Databases, schedule, set_clock
from tests.support.processes import Service, running_service
from tests.support.schedulers import SETTINGS, LeaderAt, StartLeader, StartScheduler, run_leader_until_idle

EVERY_MINUTE = {MODEL: "* * * * *"}


@pytest.fixture
def session(databases: Databases, database_url: str) -> Iterator[postgres.Connection]:
    """A session with the privileges and time limits of the scheduler."""
    with closing(postgres.connect(databases.url_as("metrics_scheduler", database_url), "tests")) as connection:
        yield connection


@pytest.fixture
def start_leader(databases: Databases, database_url: str, redis_client: redis.Redis) -> Iterator[StartLeader]:
    """Function that creates a leader with its own session; other keyword arguments are environment variables.

    Without cleanup, unless there is an interval.
    """
    with ExitStack() as sessions:

        def start(persist_time: float = PERSIST_TIME, cleanup_interval: float = math.inf, **env: str) -> Leader:
            database = postgres.connect(databases.url_as("metrics_scheduler", database_url), "tests")
            sessions.callback(database.close)
            queue = Queue(redis_client, persist_time)
            settings = Settings.from_env(SETTINGS | env)
            return Leader(database, queue, settings, "tests", cleanup_interval=cleanup_interval)

        yield start


@pytest.fixture
def leader_at(db: Connection, start_leader: StartLeader) -> LeaderAt:
    """Function that sets the clock, inserts schedules (cron by model), and returns a leader that is idle."""

    def start(now: str, schedules: Mapping[str, str] = EVERY_MINUTE, **options: Any) -> Leader:
        set_clock(db, now)
        for model_id, cron in schedules.items():
            schedule(db, model_id, cron)
        leader = start_leader(**options)
        run_leader_until_idle(leader)
        return leader

    return start


@pytest.fixture
def start_scheduler(
    databases: Databases, database_url: str, redis_url: str, tmp_path: Path
) -> Iterator[StartScheduler]:
    """Function that starts a scheduler process; keyword arguments are environment variables."""
    with ExitStack() as services:
        env = {"DATABASE_URL": databases.url_as("metrics_scheduler", database_url), "REDIS_URL": redis_url}

        def start(command: list[str] = SCHEDULER, **variables: str) -> Service:
            log = tmp_path / f"scheduler-{len(list(tmp_path.iterdir()))}.log"
            return services.enter_context(running_service(command, env | variables, log))

        yield start
