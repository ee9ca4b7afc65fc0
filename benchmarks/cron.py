"""What a cron expression costs, and what the gate costs: python -m benchmarks.cron [RUNS].

next_fire and last_fire over usual expressions, and over the slowest of many random ones; then
300,000 rows in one statement with and without the triggers, on each PostgreSQL that is installed.
"""

import platform
import random
import secrets
import statistics
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg2

from core.cron import expression as expressions
from core.cron import time_zones, wall_clock
from core.cron.occurrences import InvalidCron, last_fire, next_fire
from devstack import postgres as local_postgres
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support import cron_model
from tests.support.cron_strings import valid_expression
from tests.support.databases import Connection, one, run
from tests.support.postgres_servers import OLDEST_POSTGRES

USUAL = [
    "* * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0 0 * * *", "0 9 * * mon-fri",
    "15 14 1 * *", "0 22 * * 1-5", "23 0-20/2 * * *", "5 4 * * sun", "0 0 1,15 * 1", "0 0 1 1 *", "@hourly", "@daily",
    "@weekly", "@monthly", "0 0 29 2 *", "59 23 31 12 *", "0,30 8-18 * * mon-fri",
]  # fmt: skip
# Few and far between, and one that Warsaw's daylight saving always leaves out.
RARE = ["0 0 31 2,4,6,9,11 mon", "0 0 29 2 */7", "0 0 31 2 1", "59 2 29 2 */7", "* 2 25 3 */7", "* 2 25-31 3 */7"]
ZONES = ["UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"]
RANDOM = 3000

ROWS = 300_000
PAIRS = {
    "1 pair": "'*/5 * * * *'",
    "1,440 pairs": "n % 60 || ' ' || n / 60 % 24 || ' * * *'",
    "36,000 pairs": "n % 60 || ' ' || n / 60 % 24 || ' ' || n / 1440 % 25 + 1 || ' * *'",
    "300,000 pairs": "n % 60 || ' ' || n / 60 % 24 || ' ' || n / 1440 % 28 + 1 || ' ' || n / 40320 + 1 || ' *'",
}
INSERT = """
    INSERT INTO metrics_executions (model_id, cron_expression)
    SELECT gen_random_uuid(), {expression} FROM generate_series(0, {rows} - 1) AS n
"""


# What a new process lacks.
CACHES = (expressions.parse, expressions._values, expressions._weekdays, wall_clock._day, time_zones._transitions)  # noqa: SLF001


def main() -> None:
    """Run the bench, each statement several times (5 unless told)."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{platform.machine()}, Python {platform.python_version()}, tzdata {time_zones.TZDATA_VERSION}\n")
    bench_usual()
    bench_slowest()
    for binaries in (None, OLDEST_POSTGRES):
        if binaries is None or binaries.is_dir():
            bench_gate(binaries, runs)


def bench_usual() -> None:
    chance = random.Random(1)
    took = []
    for expression in USUAL * 200:
        after = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=chance.randrange(86400 * 60))
        took.append(seconds(next_fire, expression, chance.choice(ZONES), after))
    print(f"next_fire, usual expressions, no shift near: median {statistics.median(took) * 1e6:.0f} µs", end=" ")
    print(f"({len(took)} calls)")


def bench_slowest() -> None:
    """Random instants from 1970 to 2100, half of them around a shift; best of three with empty caches."""
    chance = random.Random(2)
    expressions = [
        text for text in (valid_expression(chance).lower() for _ in range(RANDOM)) if cron_model.is_valid(text)
    ]
    for function in (next_fire, last_fire):
        timed = [time_cold(function, expression, chance) for expression in [*expressions, *RARE * 20]]
        slowest, expression, zone = max(timed)
        median = statistics.median(took for took, _, _ in timed)
        print(f"{function.__name__}, random and rare expressions, empty caches: median {median * 1e6:.0f} µs,", end=" ")
        print(f'slowest {slowest * 1e3:.1f} ms ("{expression}", {zone}; {len(timed)} calls)')


def time_cold(
    function: Callable[[str, str, datetime], datetime], expression: str, chance: random.Random
) -> tuple[float, str, str]:
    zone = chance.choice(ZONES)
    instant = datetime(1970, 1, 1) + timedelta(seconds=chance.randrange(131 * 365 * 86400))  # noqa: DTZ001  # naive UTC
    shift = time_zones.first_transition(zone, instant, instant + timedelta(days=400))
    if shift and chance.random() < 0.5:
        instant = shift.at + timedelta(minutes=chance.randrange(-180, 180))
    took = []
    for _ in range(3):
        for cache in CACHES:
            cache.cache_clear()
        took.append(seconds(function, expression, zone, instant.replace(tzinfo=UTC)))
    return min(took), expression, zone


def seconds(function: Callable[[str, str, datetime], datetime], expression: str, zone: str, instant: datetime) -> float:
    started = time.perf_counter()
    try:
        function(expression, zone, instant)
    except InvalidCron:
        assert expression in RARE
    return time.perf_counter() - started


def bench_gate(binaries: Path | None, runs: int) -> None:
    settings = {"autovacuum": "off", "shared_buffers": "512MB", "max_wal_size": "4GB"}
    with local_postgres.running(binaries=binaries, settings=settings) as server:
        apply(server.url, passwords={role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}, test_data=False)
        db = psycopg2.connect(server.url)
        db.autocommit = True
        print(f"\nPostgreSQL {one(db, 'SHOW server_version')}: {ROWS:,} rows in one statement, medians of {runs} runs")
        for name, expression in PAIRS.items():
            statements = {
                "insert": INSERT.format(expression=expression, rows=ROWS),
                "update of name": "UPDATE metrics_executions SET name = 'x'",
                "update of timezone": "UPDATE metrics_executions SET timezone = 'Europe/Warsaw'",
            }
            plain = time_statements(db, "DISABLE", statements, runs)
            gated = time_statements(db, "ENABLE", statements, runs)
            for what, took in gated.items():
                print(
                    f"{name:13} {what:18} {took:.2f} s, without triggers {plain[what]:.2f} s: {took / plain[what]:.2f}"
                )
        db.close()


def time_statements(db: Connection, triggers: str, statements: dict[str, str], runs: int) -> dict[str, float]:
    """Return the median of each statement in seconds, with the triggers enabled or disabled."""
    took: dict[str, list[float]] = {what: [] for what in statements}
    for _ in range(runs):
        run(db, f"TRUNCATE metrics_executions; ALTER TABLE metrics_executions {triggers} TRIGGER USER; CHECKPOINT")
        for what, statement in statements.items():
            started = time.perf_counter()
            run(db, statement)
            took[what].append(time.perf_counter() - started)
            run(db, "VACUUM metrics_executions")
    return {what: statistics.median(times) for what, times in took.items()}


if __name__ == "__main__":
    main()
