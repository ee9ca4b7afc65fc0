"""What the API is measured with: servers, many schedules as a scheduler would leave them, and results."""

import json
import random
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from benchmarks.load import Load, measure
from core.redis import create_client
from core.results.models import Result
from core.results.repository import ResultStore
from devstack import postgres as local_postgres
from devstack import redis as local_redis
from devstack.ports import free_port
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support.databases import Connection, Databases, one, rows, wait_for
from tests.support.processes import Service, running_service

SCHEDULES = """
    ALTER TABLE metrics_executions DISABLE TRIGGER USER;
    INSERT INTO metrics_executions (model_id, name, cron_expression, timezone, active_since)
        SELECT gen_random_uuid(), 'model ' || n, n %% 60 || ' ' || n / 60 %% 24 || ' ' || 1 + n / 1440 %% 25 || ' * *',
            'UTC', now() - interval '30 d'
        FROM generate_series(1, %(count)s) AS n;
    ALTER TABLE metrics_executions ENABLE TRIGGER USER;
    INSERT INTO crons (cron_expression, timezone, next_due_at, last_due_at, tzdata_version)
        SELECT DISTINCT cron_expression, timezone, date_trunc('hour', now()) + interval '3 h',
            date_trunc('hour', now()), 'x'
        FROM metrics_executions;
    INSERT INTO fires (due_at, fired_at, finished_at, leader) VALUES (date_trunc('hour', now()), now(), now(), 'bench');
    UPDATE leader SET name = 'bench', since = now(), looked_at = now() + interval '1 d';
"""
KNOWN = 300  # schedules that are looked at again and again; what the API works out of them once is there already


@dataclass(frozen=True)
class Setup:
    """Two servers, and what there is to ask."""

    api: int  # ports
    floor: int
    process: Service  # of the API
    db: Connection
    redis_url: str
    version: str  # of PostgreSQL
    schedules: int
    model_ids: list[str]
    crons: list[str]

    def calls(self) -> dict[str, tuple[int, list[list[str]]]]:
        """Return, by name, the port and the requests of each call; the floor is the first, and crons are new ones."""
        ids = self.model_ids
        return {
            "floor": (self.floor, [["GET", f"/results/{each}", ""] for each in ids]),
            "GET result": (self.api, [["GET", f"/results/{each}", ""] for each in ids]),
            "GET any schedule": (self.api, [["GET", f"/schedule/{each}", ""] for each in ids]),  # in all pairs
            "GET a known one": (self.api, [["GET", f"/schedule/{each}", ""] for each in ids[:KNOWN]]),
            "GET 100 schedules": (self.api, [["GET", "/schedule", ""]]),
            "POST schedule": (self.api, [["POST", "/schedule", self._body(each)] for each in ids]),
        }

    def _body(self, model_id: str) -> str:
        # By chance, so that it is another one than the run before this one left: the gate has more to do then.
        return json.dumps({"model_id": model_id, "cron_expression": random.choice(self.crons)})


@contextmanager
def prepared(schedules: int, models: int) -> Iterator[Setup]:
    """Run the servers with so many schedules, and results of so many models."""
    with ExitStack() as stack:
        server = stack.enter_context(local_postgres.running())
        queue = stack.enter_context(local_redis.running())
        passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
        apply(server.url, passwords=passwords, test_data=False)
        db = psycopg2.connect(server.url)
        stack.callback(db.close)
        db.autocommit = True
        ids, crons = fill(db, queue.url, schedules, models)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api, floor = free_port(), free_port()
        env = {
            "DATABASE_URL": Databases(server, passwords).url_as("metrics_api", server.url),
            "REDIS_URL": queue.url,
            "PORT": str(api),
        }
        serving = stack.enter_context(running_service(["api.main"], env, folder / "api.log"))
        stack.enter_context(running_service(["benchmarks.floor", str(floor)], {}, folder / "floor.log"))
        wait_for(lambda: "Serving on" in serving.output)
        wait_for(lambda: measure(Load(floor, 0.1, 1, [["GET", "/results/x", ""]])), seconds=10)
        yield Setup(api, floor, serving, db, queue.url, one(db, "SHOW server_version"), schedules, ids, crons)


def fill(db: Connection, redis_url: str, schedules: int, models: int) -> tuple[list[str], list[str]]:
    """Make schedules as a scheduler would leave them, and results; the models that have one, and crons."""
    with db.cursor() as statements:
        statements.execute(SCHEDULES, {"count": schedules})
        statements.execute("VACUUM ANALYZE metrics_executions")
        statements.execute("VACUUM ANALYZE crons")
    ids = [row[0] for row in rows(db, "SELECT model_id::text FROM metrics_executions LIMIT %s", models)]
    crons = [row[0] for row in rows(db, "SELECT cron_expression FROM crons")]
    now = one(db, "SELECT due_at FROM fires")
    stored = ResultStore(create_client(redis_url))
    for first in range(0, len(ids), 10_000):
        stored.save(Result(each, now, now, "ok", 0.95, 1000, 8, now) for each in ids[first : first + 10_000])
    return ids, crons
