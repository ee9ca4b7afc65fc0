"""The API beside its baseline, with many schedules and results."""

import json
import random
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from benchmarks.load_generator import Load, Request, measure
from core.redis import create_client
from core.results.models import Result
from core.results.repository import ResultStore
from devstack import postgres as local_postgres
from devstack import redis as local_redis
from devstack.ports import free_port
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support.databases import Connection, Databases, fetch_all, fetch_value, wait_for
from tests.support.processes import Service, running_service

# The state that a scheduler would leave.
INSERT_SCHEDULES = """
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
CACHED_SCHEDULES = 300  # schedules that are read repeatedly, so that their cron specs are in the caches of the API
BASELINE = "baseline"


@dataclass(frozen=True)
class Endpoint:
    """Requests of one kind, and the port of their server."""

    port: int
    requests: list[Request]


@dataclass(frozen=True)
class ApiFixture:
    """The API and the baseline, and the data to request."""

    api_port: int
    baseline_port: int
    api_process: Service
    db: Connection
    redis_url: str
    postgres_version: str
    schedules: int
    model_ids: list[str]  # those with results
    cron_expressions: list[str]

    def endpoints(self) -> dict[str, Endpoint]:
        """Return the endpoints by name, first the baseline; each POST changes the cron expression."""
        results = [Request("GET", f"/results/{model_id}") for model_id in self.model_ids]
        schedules = [Request("GET", f"/schedule/{model_id}") for model_id in self.model_ids]
        requests = {
            "GET result": results,
            "GET any schedule": schedules,  # of all cron specs
            "GET cached schedule": schedules[:CACHED_SCHEDULES],
            "GET 100 schedules": [Request("GET", "/schedule")],
            "POST schedule": [Request("POST", "/schedule", self._body(model_id)) for model_id in self.model_ids],
        }
        return {
            BASELINE: Endpoint(self.baseline_port, results),
            **{name: Endpoint(self.api_port, kind) for name, kind in requests.items()},
        }

    def _body(self, model_id: str) -> str:
        # At random, so that it differs from the previous run: then the validation trigger has more to do.
        return json.dumps({"model_id": model_id, "cron_expression": random.choice(self.cron_expressions)})


@contextmanager
def running_api(schedules: int, models: int) -> Iterator[ApiFixture]:
    """Run the servers with so many schedules, and results of so many models."""
    with ExitStack() as stack:
        server = stack.enter_context(local_postgres.running())
        queue = stack.enter_context(local_redis.running())
        passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
        apply(server.url, passwords=passwords, test_data=False)
        db = psycopg2.connect(server.url)
        stack.callback(db.close)
        db.autocommit = True
        model_ids, cron_expressions = fill(db, queue.url, schedules, models)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        api_port, baseline_port = free_port(), free_port()
        env = {
            "DATABASE_URL": Databases(server, passwords).url_as("metrics_api", server.url),
            "REDIS_URL": queue.url,
            "PORT": str(api_port),
        }
        api = stack.enter_context(running_service(["api.main"], env, folder / "api.log"))
        baseline = ["benchmarks.flask_baseline", str(baseline_port)]
        stack.enter_context(running_service(baseline, {}, folder / "baseline.log"))
        wait_for(lambda: "Serving on" in api.output)
        wait_for(lambda: measure(Load(baseline_port, 0.1, 1, [Request("GET", "/results/x")])), seconds=10)
        yield ApiFixture(
            api_port,
            baseline_port,
            api,
            db,
            queue.url,
            fetch_value(db, "SHOW server_version"),
            schedules,
            model_ids,
            cron_expressions,
        )


def fill(db: Connection, redis_url: str, schedules: int, models: int) -> tuple[list[str], list[str]]:
    """Insert schedules and results; returns the models that have a result, and the cron expressions."""
    with db.cursor() as cursor:
        cursor.execute(INSERT_SCHEDULES, {"count": schedules})
        cursor.execute("VACUUM ANALYZE metrics_executions")
        cursor.execute("VACUUM ANALYZE crons")
    model_ids = [row[0] for row in fetch_all(db, "SELECT model_id::text FROM metrics_executions LIMIT %s", models)]
    cron_expressions = [row[0] for row in fetch_all(db, "SELECT cron_expression FROM crons")]
    due_at = fetch_value(db, "SELECT due_at FROM fires")
    store = ResultStore(create_client(redis_url))
    for start in range(0, len(model_ids), 10_000):
        batch = model_ids[start : start + 10_000]
        store.save(Result(model_id, due_at, due_at, "ok", 0.95, 1000, 8, due_at) for model_id in batch)
    return model_ids, cron_expressions
