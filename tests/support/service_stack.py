"""All services on one database and one Redis, with a clock that a test sets."""

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
from tests.support.databases import Connection, Databases, execute, fetch_value, set_clock, wait_for
from tests.support.processes import Service, running_service

MODULES = {"worker": WORKER, "scheduler": SCHEDULER, "api": API}
REQUEST_TIMEOUT = 10  # seconds

COUNT_NEW = "SELECT count(*) FROM schedule_status WHERE status = 'new'"
COUNT_FINISHED = "SELECT count(*) FROM fires WHERE due_at = %s AND finished_at IS NOT NULL"
DELETE_ALL = "DELETE FROM metrics_executions; DELETE FROM results; DELETE FROM crons; DELETE FROM fires"


class Stack:
    """Worker, scheduler and API; minutes are of 24 November 2026."""

    def __init__(self, services: dict[str, Service], url: str, db: Connection) -> None:
        self.services = services
        self.url = url
        self.db = db

    def call(self, path: str, method: str = "GET", body: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Call the API; returns the status and the JSON, or (0, None) if there is no connection."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(
            self.url + path, data, {"Content-Type": "application/json"} if data else {}, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=REQUEST_TIMEOUT) as response:
                text = response.read()
                return response.status, json.loads(text) if text else None
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())
        except (urllib.error.URLError, ConnectionError):
            return 0, None

    def reset(self) -> None:
        """Delete schedules and labels, and set the clock to shortly before noon; results in Redis are kept."""
        execute(self.db, DELETE_ALL)
        set_clock(self.db, "2026-11-24 11:59:30+00")

    def set_minute(self, minute: str) -> None:
        """Set the clock to a full minute."""
        set_clock(self.db, f"2026-11-24 {minute}:00+00")

    def wait_until_scheduled(self) -> None:
        """Wait until the next due time of each cron spec is calculated."""
        wait_for(lambda: fetch_value(self.db, COUNT_NEW) == 0)

    def wait_for_result(self, model_id: str, minute: str) -> dict[str, Any]:
        """Return the model's result of a minute."""
        due_at = f"2026-11-24T{minute}:00.000Z"

        def find_result() -> dict[str, Any] | None:
            status, result = self.call(f"/results/{model_id}")
            return result if status == 200 and result["due_at"] == due_at else None

        return wait_for(find_result) or {}

    def wait_for_fire(self, due_at: str) -> None:
        """Wait until all models of a due time are calculated."""
        wait_for(lambda: fetch_value(self.db, COUNT_FINISHED, due_at))
        wait_for(lambda: not self.call("/status")[1]["queue"]["taken"])


@contextmanager
def running_stack(databases: Databases, redis_url: str, folder: Path) -> Iterator[Stack]:
    """Start worker, scheduler and API."""
    with ExitStack() as exits:
        owner_url = exits.enter_context(databases.lend())
        with redis.Redis.from_url(redis_url) as client:
            client.flushall()
        port = free_port()
        services = {}
        for name, module in MODULES.items():
            env = {
                "DATABASE_URL": databases.url_as(f"metrics_{name}", owner_url),
                "REDIS_URL": redis_url,
                "PORT": str(port),
            }
            services[name] = exits.enter_context(running_service(module, env, folder / name))
        db = psycopg2.connect(owner_url)
        exits.callback(db.close)
        db.autocommit = True
        stack = Stack(services, f"http://127.0.0.1:{port}", db)
        wait_for(lambda: stack.call("/readyz")[0] == 200)
        wait_for(lambda: " ready." in services["worker"].output)
        yield stack
