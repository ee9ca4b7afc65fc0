"""All processes on one database and one Redis, with a clock that a test sets."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg2
import redis

from devstack.ports import free_port
from devstack.services import API, SCHEDULER, WORKER
from tests.support.databases import Connection, Databases, one, run, set_clock, wait_for
from tests.support.processes import Service, service


class Stack:
    """All processes on one database and one Redis."""

    def __init__(self, services: dict[str, Service], url: str, db: Connection) -> None:
        self.services = services
        self.url = url
        self.db = db

    def call(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> tuple[int, Any]:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"} if data else {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                text = answer.read()
                return answer.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except (urllib.error.URLError, ConnectionError):
            return 0, None

    def result_of(self, model_id: str, minute: str) -> dict[str, Any]:
        """Return the result of a minute of 24 November 2026, waiting for it."""
        due_at = f"2026-11-24T{minute}:00.000Z"

        def found() -> dict[str, Any] | None:
            status, result = self.call(f"/results/{model_id}")
            return result if status == 200 and result["due_at"] == due_at else None

        return wait_for(found) or {}

    def settled(self) -> None:
        """Wait until the scheduler knows every pair in use."""
        query = "SELECT count(*) FROM schedule_status WHERE status = 'new'"
        wait_for(lambda: one(self.db, query) == 0)

    def at(self, minute: str) -> None:
        set_clock(self.db, f"2026-11-24 {minute}:00+00")

    def wait_for_fire(self, moment: str) -> None:
        """Wait until everything of a moment is calculated."""
        query = "SELECT count(*) FROM fires WHERE due_at = %s AND finished_at IS NOT NULL"
        wait_for(lambda: one(self.db, query, moment))
        wait_for(lambda: not self.call("/status")[1]["queue"]["taken"])

    def quieten(self) -> None:
        """Begin a test: no schedules, no labels, a little before noon; each has models of its own in Redis."""
        run(self.db, "DELETE FROM metrics_executions; DELETE FROM results; DELETE FROM crons; DELETE FROM fires")
        set_clock(self.db, "2026-11-24 11:59:30+00")


@contextmanager
def running(databases: Databases, redis_url: str, folder: Path) -> Iterator[Stack]:
    """Start worker, scheduler and API."""
    with ExitStack() as started:
        owner_url = started.enter_context(databases.lend())
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        port = free_port()
        modules = {"worker": WORKER, "scheduler": SCHEDULER, "api": API}
        services = {}
        for name, module in modules.items():
            env = {
                "DATABASE_URL": databases.url_as(f"metrics_{name}", owner_url),
                "REDIS_URL": redis_url,
                "PORT": str(port),
            }
            services[name] = started.enter_context(service(module, env, folder / name))
        db = psycopg2.connect(owner_url)
        started.callback(db.close)
        db.autocommit = True
        stack = Stack(services, f"http://127.0.0.1:{port}", db)
        wait_for(lambda: stack.call("/readyz")[0] == 200)
        wait_for(lambda: " ready." in services["worker"].output)
        yield stack
