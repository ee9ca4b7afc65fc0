"""How long a page of the list takes with 1,000,000 schedules: python -m benchmarks.schedule_list [ROWS].

Each filter in each of some tables, first pages and pages from random places on, as the API asks for them but
without HTTP. Before that, what the list's indexes cost an INSERT of all the rows.
"""

import platform
import random
import secrets
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import psycopg2
import redis

from api.schedules.listing.cursor import Filters, Position, encode
from api.schedules.listing.page import STATUSES, read_page
from core.results.keys import FAILING_KEY
from core.results.models import Failure
from core.results.repository import ResultStore
from devstack import postgres as local_postgres
from devstack import redis as local_redis
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support.databases import Connection, one, rows, run

LIMIT = 100
PAGES = 10  # from the beginning on, and as many from random places
HOURS_AGO = "now() - interval '2 hours'"

# Half of the rows have one of 5 crons, the others 36,000 pairs; 5 % are paused.
USUAL = {
    "model_id": "gen_random_uuid()",
    "cron_expression": """CASE WHEN n = 1 THEN '7 7 7 7 *'
        WHEN n % 2 = 0 THEN
            (ARRAY['*/5 * * * *', '0 * * * *', '@daily', '0 9 * * mon-fri', '*/15 * * * *'])[1 + n / 2 % 5]
        ELSE n / 2 % 60 || ' ' || n / 120 % 24 || ' ' || n / 2880 % 25 + 1 || ' * *' END""",
    "timezone": """CASE WHEN n < 3 THEN 'Pacific/Apia' WHEN n % 2 = 0 OR n / 2 % 5 < 4 THEN 'UTC'
        ELSE 'Europe/Warsaw' END""",
    "enabled": "n % 20 <> 7",
    "active_since": HOURS_AGO,
}
TABLES = {
    "usual": {},
    "model ids by time, one zone after the other": {
        "model_id": "lpad(to_hex(n), 32, '0')::uuid",
        "timezone": "(ARRAY['UTC', 'Europe/Warsaw', 'Pacific/Apia'])[1 + 3 * n / {rows}]",
    },
    "nearly all paused": {"enabled": "n % 1000 = 0"},
    "nearly all of one pair, edited since it is late": {
        "cron_expression": "CASE WHEN n % 1000 > 0 THEN '*/5 * * * *' ELSE n / 1000 % 60 || ' 1 1 1 *' END",
        "timezone": "'UTC'",
        "active_since": f"CASE WHEN n % 1000 > 0 THEN now() ELSE {HOURS_AGO} END",
    },
}
INSERT = """
    INSERT INTO metrics_executions ({columns}) SELECT {expressions} FROM generate_series(0, {rows} - 1) AS n
"""
# One pair of 1,000 is late, one of 2,000 in error, and one not there yet.
CRONS = """
    TRUNCATE crons;
    INSERT INTO crons (cron_expression, timezone, next_due_at, error, tzdata_version)
    SELECT cron_expression, timezone, CASE WHEN number % 2000 <> 1 THEN
            now() + CASE WHEN number % 1000 = 0 OR count > 500000 THEN -1 ELSE 60 END * interval '1 minute' END,
        CASE WHEN number % 2000 = 1 THEN 'bad' END, 'x'
    FROM (SELECT cron_expression, timezone, count(*), row_number() OVER () AS number
          FROM metrics_executions WHERE enabled GROUP BY cron_expression, timezone) AS pair
    WHERE number <> 3
"""
FILTERS = [
    Filters(),
    Filters(enabled=True),
    Filters(enabled=False),
    Filters(cron="*/5 * * * *"),
    Filters(cron="7 7 7 7 *"),
    Filters(cron="*/5 * * * *", zone="UTC", enabled=True),
    *(
        Filters(zone=zone, enabled=enabled)
        for zone in ("UTC", "Pacific/Apia", "Asia/Tokyo")
        for enabled in (None, True)
    ),
    *(Filters(zone=zone, status=status) for status in STATUSES for zone in (None, "UTC", "Pacific/Apia")),
    *(Filters(cron="*/5 * * * *", status=status) for status in STATUSES),
]
NOW = "metrics_executions_enabled, metrics_executions_paused, metrics_executions_zone"
BEFORE = """
    CREATE INDEX before ON metrics_executions (cron_expression, timezone) INCLUDE (model_id, active_since) WHERE enabled
"""
# Without ANALYZE: the statistics are those of an hour ago.
AWAY = "UPDATE crons SET next_due_at = now() - interval '1 minute' WHERE next_due_at IS NOT NULL"


def main() -> None:
    """Run the bench, with 1,000,000 rows unless told."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    settings = {"autovacuum": "off", "shared_buffers": "512MB", "max_wal_size": "4GB"}
    with local_postgres.running(settings=settings) as server, local_redis.running() as store:
        apply(server.url, passwords={role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}, test_data=False)
        db = psycopg2.connect(server.url)
        db.autocommit = True
        client = redis.Redis.from_url(store.url)
        print(f"{platform.machine()}, PostgreSQL {one(db, 'SHOW server_version')}, {count:,} schedules")
        bench_indexes(db, count)
        run(db, "ALTER TABLE metrics_executions DISABLE TRIGGER USER")
        for name, columns in TABLES.items():
            fill(db, columns, count)
            fail(client, db, 0.05 if name == "usual" else 1)
            bench_pages(db, ResultStore(client), name, FILTERS)
            if name == "usual":
                run(db, AWAY)
                by_status = [it for it in FILTERS if it.status in {"scheduled", "new", "late"}]
                bench_pages(db, ResultStore(client), "usual, the scheduler is away: all late", by_status)
                run(db, "TRUNCATE crons")
                bench_pages(db, ResultStore(client), "usual, imported just now: all new", by_status)
        client.close()
        db.close()


def bench_indexes(db: Connection, count: int) -> None:
    """Insert everything through the gate, with the list's indexes and with the one of before."""
    took = {"with the list's indexes": seconds(lambda: fill(db, {}, count))}
    size = one(db, "SELECT pg_indexes_size('metrics_executions')")
    definitions = [row[0] for row in rows(db, "SELECT pg_get_indexdef(unnest(%s::regclass[]))", NOW.split(", "))]
    run(db, f"DROP INDEX {NOW}; {BEFORE}")
    took["with the index of due models alone"] = seconds(lambda: fill(db, {}, count))
    before = one(db, "SELECT pg_indexes_size('metrics_executions')")
    run(db, "TRUNCATE metrics_executions; DROP INDEX before")
    for definition in definitions:
        run(db, definition)
    for what, spent in took.items():
        print(f"insert {what}: {spent:.1f} s")
    print(f"size of all indexes: {size / 1e6:.0f} MB, before {before / 1e6:.0f} MB")


def fill(db: Connection, columns: dict[str, str], count: int) -> None:
    expressions = {**USUAL, **columns}
    run(db, "TRUNCATE metrics_executions RESTART IDENTITY")
    statement = INSERT.format(
        columns=", ".join(expressions), expressions=", ".join(expressions.values()), rows="{rows}"
    )
    run(db, statement.format(rows=count))


def fail(client: redis.Redis, db: Connection, share: float) -> None:
    """Let a share of the models fail since one moment or another, or all of them since the same."""
    client.flushall()
    run(db, CRONS)
    run(db, "VACUUM ANALYZE metrics_executions, crons")
    models = [model_id for (model_id,) in rows(db, "SELECT model_id::text FROM metrics_executions")]
    chance = random.Random(4)
    failing = chance.sample(models, int(len(models) * share))
    for start in range(0, len(failing), 10_000):
        part = failing[start : start + 10_000]
        client.zadd(FAILING_KEY, {it: chance.randrange(1000) if share < 1 else 1764000000 for it in part})


def bench_pages(db: Connection, results: ResultStore, name: str, kinds: Sequence[Filters]) -> None:
    print(f"\n{name}\n{'filter':68} {'median':>7} {'worst':>7} ms {'first':>5} {'pages':>5} short")
    overall: list[float] = []
    for filters in kinds:
        took: list[float] = []
        found: list[int] = []
        short = 0
        starts = [None, *places(db, filters)]
        for number, start in enumerate(starts):
            after = start
            for _ in range(PAGES if number == 0 else 1):
                began = time.perf_counter()
                with db.cursor() as statements:
                    schedules, after = read_page(statements, lambda: results, filters, after, LIMIT)
                took.append((time.perf_counter() - began) * 1e3)
                found.append(len(schedules))
                short += after is not None and len(schedules) < LIMIT
                if after is None:
                    break
        overall += took
        label = " ".join(f"{key}={value}" for key, value in filters._asdict().items() if value is not None) or "none"
        figures = f"{statistics.median(took):7.1f} {max(took):7.1f}"
        print(f"{label:68} {figures}    {found[0]:5} {len(took):5} {short:5}")
    print(f"{'all':68} {statistics.median(overall):7.1f} {max(overall):7.1f}")


def places(db: Connection, filters: Filters) -> list[str]:
    """Return cursors deep in the table, or among the failures."""
    chance = random.Random(5)
    count = one(db, "SELECT max(id) FROM metrics_executions")
    ids = [chance.randint(1, count) for _ in range(PAGES)]
    found = rows(
        db, "SELECT cron_expression, timezone, model_id::text FROM metrics_executions WHERE id = ANY (%s)", ids
    )
    if filters.status == "failing" and filters.cron is None and filters.zone is None:
        return [encode(filters, Failure(chance.choice([1.0, 500.0, 1764000000.0]), row[2])) for row in found]
    return [encode(filters, Position(*row)) for row in found]


def seconds(action: Callable[[], None]) -> float:
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
