"""The system under test: servers, and services each behind proxies of its own, restarted when they have exited."""

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
from tests.support.databases import Connection, execute, fetch_all
from tests.support.proxy import Proxy

log = logging.getLogger("chaos")

POSTGRES_SETTINGS = {"max_connections": "40"}
BATCH_SIZE = 20  # models in a message
TIME_LIMIT = 10  # seconds
RESULT_HISTORY = 1_000_000  # results of a model: all
LOCKLESS_SCHEDULER = ["tests.support.lockless_scheduler"]
UNPRIVILEGED_ROLE = "unprivileged"
RESTART_DELAYS = 0.5, 3.0  # seconds
CONNECT_TIMEOUT = 3  # seconds
REDIS_TIMEOUT = 15  # seconds
LEADER_NAMES = """
    SELECT activity.application_name
    FROM pg_locks AS lock JOIN pg_stat_activity AS activity USING (pid)
    WHERE lock.locktype = 'advisory' AND lock.granted AND lock.objid = %s
"""


@dataclass(eq=False)
class SystemUnderTest:
    """All servers and services; call supervise() periodically, in the main thread."""

    owner_url: str
    client_url: str
    unprivileged_url: str
    redis_url: str
    redis_folder: Path
    postgres_server: Server
    redis_server: Server
    schedulers: list[Service]
    workers: list[Service]
    lockless_scheduler: Service
    rng: random.Random
    failures: list[str] = field(default_factory=list)

    @property
    def services(self) -> list[Service]:
        return [*self.schedulers, *self.workers, self.lockless_scheduler]

    def supervise(self) -> None:
        """Restart exited processes, after a delay; record unexpected exits."""
        for server in (self.postgres_server, self.redis_server):
            if not server.process.alive and not server.is_suspended and self._is_restart_due(server):
                server.process.start()
        for service in self.services:
            if service.process.alive:
                continue
            if not service.exit_expected:
                service.exit_expected = True
                self.record_failure(f"{service.name} exited unexpectedly: {service.process.exit_reason}")
            if service.enabled and self._is_restart_due(service):
                service.start()

    def record_failure(self, failure: str) -> None:
        self.failures.append(failure)
        log.error("%s", failure)

    def is_postgres_up(self) -> bool:
        return local_postgres.accepts_connections(self.owner_url)

    def is_redis_up(self) -> bool:
        return local_redis.is_ready(self.redis_url)

    def _is_restart_due(self, process: Server | Service) -> bool:
        """Return True after the restart delay, which begins with the first call."""
        if process.start_at is None:
            process.start_at = monotonic() + self.rng.uniform(*RESTART_DELAYS)
        if monotonic() < process.start_at:
            return False
        process.start_at = None
        return True

    @contextmanager
    def owner(self) -> Iterator[Connection]:
        """A connection of the database owner, without a proxy, in autocommit mode."""
        with _autocommit_connection(self.owner_url) as connection:
            yield connection

    @contextmanager
    def unprivileged(self) -> Iterator[Connection]:
        """A connection of a role without grants, in autocommit mode."""
        with _autocommit_connection(self.unprivileged_url) as connection:
            yield connection

    def redis_client(self) -> redis.Redis:
        """Return a Redis client without a proxy; the caller closes it."""
        return redis.Redis.from_url(
            self.redis_url, socket_timeout=REDIS_TIMEOUT, socket_connect_timeout=CONNECT_TIMEOUT
        )

    def leader(self) -> Service:
        """Return the scheduler that holds the leader lock; the first one if none does."""
        with self.owner() as db:
            names = [name for (name,) in fetch_all(db, LEADER_NAMES, LEADER_LOCK)]
        for service in self.schedulers:
            if any(name.endswith(f":{service.process.pid}") for name in names):
                return service
        return self.schedulers[0]


@contextmanager
def _autocommit_connection(url: str) -> Iterator[Connection]:
    with closing(psycopg2.connect(url, connect_timeout=CONNECT_TIMEOUT, application_name="chaos")) as connection:
        connection.autocommit = True
        yield connection


@dataclass(frozen=True)
class _ServiceFactory:
    """Creates services that supervise() starts; they are killed when exits closes."""

    exits: ExitStack
    postgres_url: str
    redis_url: str
    passwords: dict[str, str]

    def scheduler(self, name: str, module: list[str]) -> Service:
        return self._service(name, "metrics_scheduler", module, BATCH_SIZE=str(BATCH_SIZE))

    def worker(self, name: str, *wrapper: str) -> Service:
        module = [*wrapper, *WORKER, f"--hostname={name}@%h"]
        env = {"TIME_LIMIT": str(TIME_LIMIT), "RESULT_HISTORY": str(RESULT_HISTORY)}
        return self._service(name, "metrics_worker", module, **env)

    def _service(self, name: str, role: str, module: list[str], **env: str) -> Service:
        postgres = self.exits.enter_context(Proxy(url_as(self.postgres_url, role, self.passwords[role])))
        broker = self.exits.enter_context(Proxy(self.redis_url))
        urls = {"DATABASE_URL": postgres.url, "REDIS_URL": broker.url, "PYTHONUNBUFFERED": "1"}
        process = Process(name, [sys.executable, "-m", *module], env={**os.environ, **urls, **env})
        self.exits.callback(process.kill)
        return Service(process, postgres, broker)


@contextmanager
def running_system(rng: random.Random, skew: float) -> Iterator[SystemUnderTest]:
    """Start the servers, and create the services; the clock of one worker's host is off by skew (hours)."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="cyclic-metrics-chaos-")))
        postgres = exits.enter_context(local_postgres.running(settings=POSTGRES_SETTINGS))
        broker = exits.enter_context(local_redis.running(folder))
        passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
        apply(postgres.url, passwords=passwords, test_data=False)
        client_password = passwords["metrics_client"]
        with closing(psycopg2.connect(postgres.url)) as db, db:
            execute(db, f"CREATE ROLE {UNPRIVILEGED_ROLE} LOGIN PASSWORD '{client_password}'")
        factory = _ServiceFactory(exits, postgres.url, broker.url, passwords)
        yield SystemUnderTest(
            owner_url=postgres.url,
            client_url=url_as(postgres.url, "metrics_client", client_password),
            unprivileged_url=url_as(postgres.url, UNPRIVILEGED_ROLE, client_password),
            redis_url=broker.url,
            redis_folder=folder,
            postgres_server=Server(postgres.process),
            redis_server=Server(broker.process),
            schedulers=[factory.scheduler(f"scheduler-{number}", SCHEDULER) for number in (1, 2)],
            workers=[
                factory.worker("worker-1"),
                factory.worker("worker-2", "tests.support.shifted_clock", str(skew)),
            ],
            lockless_scheduler=factory.scheduler("lockless-scheduler", LOCKLESS_SCHEDULER),
            rng=rng,
        )
