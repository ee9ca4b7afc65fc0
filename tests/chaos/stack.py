"""The system under trial: real servers, our processes each behind a network of its own, and who restarts them."""

import logging
import os
import random
import secrets
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

import psycopg2
import redis

from core.leader_lock import LEADER_LOCK
from devstack import postgres as local_postgres
from devstack import redis as local_redis
from devstack.process import Process
from devstack.services import SCHEDULER, WORKER, url_as
from sql.apply import PASSWORD_VARIABLES, apply
from tests.chaos.processes import Server, Service
from tests.support.databases import Connection, rows, run
from tests.support.proxy import Proxy

log = logging.getLogger("chaos")

SETTINGS = {"max_connections": "40"}
BATCH_SIZE = 20
TIME_LIMIT = 10  # seconds
FORCED_LEADER = ["tests.support.forced_leader"]
STRANGER = "stranger"
PAUSES = 0.5, 3.0  # seconds until what was killed is started again
LEADER = """
    SELECT activity.application_name
    FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objid = %s
"""


@dataclass(eq=False)
class Stack:
    """Everything that runs; tend() it in the main thread."""

    owner_url: str
    client_url: str
    stranger_url: str  # a role without any grant
    redis_url: str
    redis_folder: Path
    postgres_server: Server
    redis_server: Server
    schedulers: list[Service]
    workers: list[Service]
    second_leader: Service
    rng: random.Random
    failures: list[str] = field(default_factory=list)

    @property
    def services(self) -> list[Service]:
        return [*self.schedulers, *self.workers, self.second_leader]

    def tend(self) -> None:
        """Start what ought to run, after a pause; note what ended without having been told to."""
        for server in (self.postgres_server, self.redis_server):
            if not server.process.alive and not server.held and self._is_time(server):
                server.process.start()
        for service in self.services:
            if service.process.alive:
                continue
            if not service.told_to_end:
                service.told_to_end = True
                self.note(f"{service.name} exited by itself: {service.process.exit_reason}")
            if service.wanted and self._is_time(service):
                service.start()

    def note(self, failure: str) -> None:
        """Note that a process did what it must not do."""
        self.failures.append(failure)
        log.error("%s", failure)

    def is_postgres_there(self) -> bool:
        return local_postgres.accepts_connections(self.owner_url)

    def is_redis_there(self) -> bool:
        return local_redis.is_ready(self.redis_url)

    def _is_time(self, what: Server | Service) -> bool:
        """Whether the pause before a start, which begins at the first question, is over."""
        if what.start_at is None:
            what.start_at = monotonic() + self.rng.uniform(*PAUSES)
        if monotonic() < what.start_at:
            return False
        what.start_at = None
        return True

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        """A connection of the owner, not by way of any proxy, in autocommit mode."""
        connection = psycopg2.connect(self.owner_url, connect_timeout=3, application_name="chaos")
        try:
            connection.autocommit = True
            yield connection
        finally:
            connection.close()

    @contextmanager
    def stranger(self) -> Iterator[Connection]:
        """A connection of a role without any grant, in autocommit mode."""
        connection = psycopg2.connect(self.stranger_url, connect_timeout=3, application_name="chaos")
        try:
            connection.autocommit = True
            yield connection
        finally:
            connection.close()

    def client(self) -> redis.Redis:
        """Return a client that goes to Redis directly; close it."""
        return redis.Redis.from_url(self.redis_url, socket_timeout=15, socket_connect_timeout=3)

    def leader(self) -> Service:
        """Return the scheduler that leads; any if none does."""
        with self.owner() as db:
            names = [name for (name,) in rows(db, LEADER, LEADER_LOCK)]
        for service in self.schedulers:
            if any(name.endswith(f":{service.process.pid}") for name in names):
                return service
        return self.schedulers[0]


@contextmanager
def running(rng: random.Random, skew: float) -> Iterator[Stack]:
    """Start the servers and make the services, which tend() starts; one worker's clock is skew (hours) off."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cyclic-metrics-chaos-")))
        postgres = stack.enter_context(local_postgres.running(settings=SETTINGS))
        queue = stack.enter_context(local_redis.running(folder))
        passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
        apply(postgres.url, passwords=passwords, test_data=False)
        with closing(psycopg2.connect(postgres.url)) as db, db:
            password = passwords["metrics_client"]
            run(db, f"CREATE ROLE {STRANGER} LOGIN PASSWORD '{password}'")

        def service(name: str, role: str, module: list[str], **env: str) -> Service:
            database = stack.enter_context(Proxy(url_as(postgres.url, role, passwords[role])))
            broker = stack.enter_context(Proxy(queue.url))
            urls = {"DATABASE_URL": database.url, "REDIS_URL": broker.url, "PYTHONUNBUFFERED": "1"}
            process = Process(name, [sys.executable, "-m", *module], env={**os.environ, **urls, **env})
            stack.callback(process.kill)
            return Service(process, database, broker)

        def scheduler(name: str, module: list[str]) -> Service:
            return service(name, "metrics_scheduler", module, BATCH_SIZE=str(BATCH_SIZE))

        def worker(name: str, *wrapper: str) -> Service:
            module = [*wrapper, *WORKER, f"--hostname={name}@%h"]
            return service(name, "metrics_worker", module, TIME_LIMIT=str(TIME_LIMIT), RESULT_HISTORY="1000000")

        yield Stack(
            owner_url=postgres.url,
            client_url=url_as(postgres.url, "metrics_client", passwords["metrics_client"]),
            stranger_url=url_as(postgres.url, STRANGER, passwords["metrics_client"]),
            redis_url=queue.url,
            redis_folder=folder,
            postgres_server=Server(postgres.process),
            redis_server=Server(queue.process),
            schedulers=[scheduler(f"scheduler-{number}", SCHEDULER) for number in (1, 2)],
            workers=[worker("worker-1"), worker("worker-2", "tests.support.shifted_clock", str(skew))],
            second_leader=scheduler("second-leader", FORCED_LEADER),
            rng=rng,
        )
