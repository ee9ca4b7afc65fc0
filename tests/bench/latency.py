"""How soon things happen, on the real clock: python -m tests.bench.latency [MINUTES].

Real servers and processes, 1,000 models due every minute. Prints, per minute, when the
first and the last message were in Redis and when the last result was, and then how long
a new cron takes from its commit to its next moment.
"""

import os
import platform
import secrets
import statistics
import sys
import tempfile
import time
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2
import redis

from local import postgres as local_postgres
from local import redis as local_redis
from local.services import SCHEDULER, WORKER
from sql.apply import PASSWORD_VARIABLES, apply
from tests.databases import Connection, Databases, one, run, schedule_many, wait_for
from tests.processes import service

MODELS = 1000
EDITS = 100


def main() -> None:
    """Run the bench for some minutes (5 unless told)."""
    minutes = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    with ExitStack() as stack:
        server = stack.enter_context(local_postgres.running())
        queue = stack.enter_context(local_redis.running())
        passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
        apply(server.url, passwords=passwords, test_data=False)
        databases = Databases(server, passwords)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for name, module in (("worker", WORKER), ("scheduler", SCHEDULER)):
            env = {"DATABASE_URL": databases.url_as(f"metrics_{name}", server.url), "REDIS_URL": queue.url}
            stack.enter_context(service(module, env, folder / name))
        db = psycopg2.connect(server.url)
        stack.callback(db.close)
        db.autocommit = True
        print(f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()},", end=" ")
        print(f"PostgreSQL {one(db, 'SHOW server_version')}; {MODELS} models due every minute\n")
        fill(db)
        bench_fires(queue.url, minutes)
        bench_edits(db)


def fill(db: Connection) -> None:
    schedule_many(db, MODELS)
    run(
        db,
        "INSERT INTO results (model_id, y_true, y_pred) SELECT model_id, labels.json, labels.json"
        " FROM metrics_executions, (SELECT json_agg(n %% 10) AS json FROM generate_series(1, %s) AS n) AS labels",
        1000,
    )
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1, seconds=30)


def bench_fires(redis_url: str, minutes: int) -> None:
    print("minute     first message   last message   last result   results")
    first_messages = []
    for _ in range(minutes):
        moment = datetime.now(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
        pushes, adds = watch(redis_url, moment)
        first_messages.append(pushes[0])
        print(
            f"{moment:%H:%M} {pushes[0]:15.1f} ms {pushes[-1]:11.1f} ms {adds[-1] if adds else float('nan'):10.1f} ms"
            f" {len(adds):9}"
        )
    print(f"\nfirst message: median {statistics.median(first_messages):.1f} ms after the minute, {minutes} runs")


def watch(redis_url: str, moment: datetime) -> tuple[list[float], list[float]]:
    """Return when messages and results reached Redis, in ms after the moment, by the clock of Redis."""
    pushes, adds = [], []
    with redis.Redis.from_url(redis_url, socket_timeout=90) as client, client.monitor() as monitor:
        after = 0.0
        while after < 10_000:  # scheduler and workers say something every second
            command = monitor.next_command()
            after = (command["time"] - moment.timestamp()) * 1000
            if command["command"].startswith("LPUSH celery ") and after > 0:
                pushes.append(after)
            elif command["command"].startswith("ZADD metrics:results:") and after > 0:
                adds.append(after)
    return pushes, adds


def bench_edits(db: Connection) -> None:
    took = []
    for number in range(EDITS):
        cron = f"{number % 60} {number // 60} 1 1 *"
        run(db, "INSERT INTO metrics_executions (model_id, cron_expression) VALUES (gen_random_uuid(), %s)", cron)
        committed_at = time.perf_counter()
        while not one(db, "SELECT count(next_due_at) FROM crons WHERE cron_expression = %s", cron):
            time.sleep(0.0005)
        took.append((time.perf_counter() - committed_at) * 1000)
    print(f"commit of a new cron to its next_due_at: median {statistics.median(took):.1f} ms,", end=" ")
    print(f"worst {max(took):.1f} ms, {EDITS} runs")


if __name__ == "__main__":
    main()
