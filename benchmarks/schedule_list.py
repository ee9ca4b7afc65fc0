"""Duration of a page of the list of 1,000,000 schedules: python -m benchmarks.schedule_list [ROWS].

Each filter in several tables, first pages and pages from random cursors, with the queries of the API but without
HTTP. Before that, the cost of the list's indexes in an INSERT of all rows.
"""

import platform
import random
import secrets
import statistics
import sys
from collections.abc import Sequence

import psycopg2
import redis

from api.schedules.listing.cursor import Filters, Position, encode
from api.schedules.listing.page import STATUSES, Search, read_page
from benchmarks.measurements import Stopwatch
from core.results.keys import FAILING_KEY
from core.results.models import Failure
from core.results.repository import ResultStore
from devstack import postgres as local_postgres
from devstack import redis as local_redis
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support.databases import Connection, execute, fetch_all, fetch_value

LIMIT = 100
PAGES = 10  # from the first one, and as many from random cursors
TWO_HOURS_AGO = "now() - interval '2 hours'"

# Half of the rows have one of 5 cron specs, the others 36,000; 5 % are paused.
USUAL_COLUMNS = {
    "model_id": "gen_random_uuid()",
    "cron_expression": """CASE WHEN n = 1 THEN '7 7 7 7 *'
        WHEN n % 2 = 0 THEN
            (ARRAY['*/5 * * * *', '0 * * * *', '@daily', '0 9 * * mon-fri', '*/15 * * * *'])[1 + n / 2 % 5]
        ELSE n / 2 % 60 || ' ' || n / 120 % 24 || ' ' || n / 2880 % 25 + 1 || ' * *' END""",
    "timezone": """CASE WHEN n < 3 THEN 'Pacific/Apia' WHEN n % 2 = 0 OR n / 2 % 5 < 4 THEN 'UTC'
        ELSE 'Europe/Warsaw' END""",
    "enabled": "n % 20 <> 7",
    "active_since": TWO_HOURS_AGO,
}
USUAL = "usual"
TABLES: dict[str, dict[str, str]] = {  # columns that differ from the usual ones
    USUAL: {},
    "time-ordered model ids, one zone after the other": {
        "model_id": "lpad(to_hex(n), 32, '0')::uuid",
        "timezone": "(ARRAY['UTC', 'Europe/Warsaw', 'Pacific/Apia'])[1 + 3 * n / {rows}]",
    },
    "nearly all paused": {"enabled": "n % 1000 = 0"},
    "nearly all with one cron spec, which is late, and edited since": {
        "cron_expression": "CASE WHEN n % 1000 > 0 THEN '*/5 * * * *' ELSE n / 1000 % 60 || ' 1 1 1 *' END",
        "timezone": "'UTC'",
        "active_since": f"CASE WHEN n % 1000 > 0 THEN now() ELSE {TWO_HOURS_AGO} END",
    },
}
INSERT = """
    INSERT INTO metrics_executions ({columns}) SELECT {expressions} FROM generate_series(0, {rows} - 1) AS n
"""
# One cron spec of 1,000 is late, one of 2,000 in error, and one new.
FILL_CRONS = """
    TRUNCATE crons;
    INSERT INTO crons (cron_expression, timezone, next_due_at, error, tzdata_version)
    SELECT cron_expression, timezone, CASE WHEN number % 2000 <> 1 THEN
            now() + CASE WHEN number % 1000 = 0 OR count > 500000 THEN -1 ELSE 60 END * interval '1 minute' END,
        CASE WHEN number % 2000 = 1 THEN 'bad' END, 'x'
    FROM (SELECT cron_expression, timezone, count(*), row_number() OVER () AS number
          FROM metrics_executions WHERE enabled GROUP BY cron_expression, timezone) AS spec
    WHERE number <> 3
"""
ALL_FILTERS = [
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
LIST_INDEXES = "metrics_executions_enabled, metrics_executions_paused, metrics_executions_zone"
CREATE_DUE_INDEX = """
    CREATE INDEX due_models ON metrics_executions (cron_expression, timezone)
        INCLUDE (model_id, active_since) WHERE enabled
"""
# Without ANALYZE: the statistics are outdated, as during an outage of the scheduler.
MAKE_ALL_LATE = "UPDATE crons SET next_due_at = now() - interval '1 minute' WHERE next_due_at IS NOT NULL"
SETTINGS = {"autovacuum": "off", "shared_buffers": "512MB", "max_wal_size": "4GB"}


def main() -> None:
    """Run the benchmark; the default is 1,000,000 rows."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000
    with local_postgres.running(settings=SETTINGS) as server, local_redis.running() as redis_server:
        apply(server.url, passwords={role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}, test_data=False)
        db = psycopg2.connect(server.url)
        db.autocommit = True
        client = redis.Redis.from_url(redis_server.url)
        print(f"{platform.machine()}, PostgreSQL {fetch_value(db, 'SHOW server_version')}, {count:,} schedules")
        measure_indexes(db, count)
        execute(db, "ALTER TABLE metrics_executions DISABLE TRIGGER USER")
        for name, columns in TABLES.items():
            fill(db, columns, count)
            fill_crons_and_failures(client, db, failing_share=0.05 if name == USUAL else 1)
            measure_pages(db, ResultStore(client), name, ALL_FILTERS)
            if name == USUAL:
                measure_without_scheduler(db, ResultStore(client))
        client.close()
        db.close()


def measure_without_scheduler(db: Connection, results: ResultStore) -> None:
    by_status = [filters for filters in ALL_FILTERS if filters.status in {"scheduled", "new", "late"}]
    execute(db, MAKE_ALL_LATE)
    measure_pages(db, results, "usual, no scheduler running: all late", by_status)
    execute(db, "TRUNCATE crons")
    measure_pages(db, results, "usual, just imported: all new", by_status)


def measure_indexes(db: Connection, count: int) -> None:
    """Insert all rows with the validation trigger, with the list's indexes and with that of the due models only."""
    with Stopwatch() as with_indexes:
        fill(db, {}, count)
    size = fetch_value(db, "SELECT pg_indexes_size('metrics_executions')")
    definitions = [
        row[0] for row in fetch_all(db, "SELECT pg_get_indexdef(unnest(%s::regclass[]))", LIST_INDEXES.split(", "))
    ]
    execute(db, f"DROP INDEX {LIST_INDEXES}; {CREATE_DUE_INDEX}")
    with Stopwatch() as without_indexes:
        fill(db, {}, count)
    size_without = fetch_value(db, "SELECT pg_indexes_size('metrics_executions')")
    execute(db, "TRUNCATE metrics_executions; DROP INDEX due_models")
    for definition in definitions:
        execute(db, definition)
    print(f"insert with the list's indexes: {with_indexes.seconds:.1f} s")
    print(f"insert with only the index of the due models: {without_indexes.seconds:.1f} s")
    print(f"size of all indexes: {size / 1e6:.0f} MB, without those of the list {size_without / 1e6:.0f} MB")


def fill(db: Connection, columns: dict[str, str], count: int) -> None:
    """Replace all rows."""
    expressions = {**USUAL_COLUMNS, **columns}
    execute(db, "TRUNCATE metrics_executions RESTART IDENTITY")
    statement = INSERT.format(
        columns=", ".join(expressions), expressions=", ".join(expressions.values()), rows="{rows}"
    )
    execute(db, statement.format(rows=count))


def fill_crons_and_failures(client: redis.Redis, db: Connection, failing_share: float) -> None:
    """Fill table crons, and make a share of the models fail since various times, or all of them since the same."""
    client.flushall()
    execute(db, FILL_CRONS)
    execute(db, "VACUUM ANALYZE metrics_executions, crons")
    models = [model_id for (model_id,) in fetch_all(db, "SELECT model_id::text FROM metrics_executions")]
    rng = random.Random(4)
    failing = rng.sample(models, int(len(models) * failing_share))
    for start in range(0, len(failing), 10_000):
        batch = failing[start : start + 10_000]
        client.zadd(
            FAILING_KEY, {model_id: rng.randrange(1000) if failing_share < 1 else 1764000000 for model_id in batch}
        )


def measure_pages(db: Connection, results: ResultStore, table: str, filter_list: Sequence[Filters]) -> None:
    """Print the duration of pages with each of the filters; "short" are pages that are neither full nor the last."""
    print(f"\n{table}\n{'filter':68} {'median':>7} {'max':>7} ms {'first':>5} {'pages':>5} short")
    all_times: list[float] = []
    for filters in filter_list:
        times: list[float] = []
        sizes: list[int] = []
        short = 0
        for number, start in enumerate([None, *random_cursors(db, filters)]):
            next_cursor = start
            for _ in range(PAGES if number == 0 else 1):
                with Stopwatch() as stopwatch, db.cursor() as cursor:
                    search = Search(cursor, lambda: results, filters)
                    schedules, next_cursor = read_page(search, next_cursor, LIMIT)
                times.append(stopwatch.seconds * 1e3)
                sizes.append(len(schedules))
                short += next_cursor is not None and len(schedules) < LIMIT
                if next_cursor is None:
                    break
        all_times += times
        label = " ".join(f"{key}={value}" for key, value in filters._asdict().items() if value is not None) or "none"
        figures = f"{statistics.median(times):7.1f} {max(times):7.1f}"
        print(f"{label:68} {figures}    {sizes[0]:5} {len(times):5} {short:5}")
    print(f"{'all':68} {statistics.median(all_times):7.1f} {max(all_times):7.1f}")


def random_cursors(db: Connection, filters: Filters) -> list[str]:
    """Return cursors deep in the table, or among the failing models."""
    rng = random.Random(5)
    count = fetch_value(db, "SELECT max(id) FROM metrics_executions")
    ids = [rng.randint(1, count) for _ in range(PAGES)]
    query = "SELECT cron_expression, timezone, model_id::text FROM metrics_executions WHERE id = ANY (%s)"
    keys = fetch_all(db, query, ids)
    if filters.status == "failing" and filters.cron is None and filters.zone is None:
        failures = [Failure(rng.choice([1.0, 500.0, 1764000000.0]), model_id) for _, _, model_id in keys]
        return [encode(filters, failure) for failure in failures]
    return [encode(filters, Position(*key)) for key in keys]


if __name__ == "__main__":
    main()
