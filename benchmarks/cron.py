"""Duration of next_fire and last_fire, and of the validation trigger: python -m benchmarks.cron [RUNS].

Usual expressions, and the slowest of many random ones; then 300,000 rows in one statement with
and without the triggers, on each installed version of PostgreSQL.
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
from typing import NamedTuple

import psycopg2

from benchmarks.measurements import Stopwatch
from core.cron import expression as expressions
from core.cron import time_zones, wall_clock
from core.cron.occurrences import InvalidCron, last_fire, next_fire
from devstack import postgres as local_postgres
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support import cron_model
from tests.support.cron_strings import valid_expression
from tests.support.databases import Connection, execute, fetch_value
from tests.support.postgres_servers import OLDEST_POSTGRES

USUAL_EXPRESSIONS = [
    "* * * * *", "*/5 * * * *", "*/15 * * * *", "0 * * * *", "30 2 * * *", "0 0 * * *", "0 9 * * mon-fri",
    "15 14 1 * *", "0 22 * * 1-5", "23 0-20/2 * * *", "5 4 * * sun", "0 0 1,15 * 1", "0 0 1 1 *", "@hourly", "@daily",
    "@weekly", "@monthly", "0 0 29 2 *", "59 23 31 12 *", "0,30 8-18 * * mon-fri",
]  # fmt: skip
# With years between occurrences, and one that daylight saving in Warsaw always skips.
RARE_EXPRESSIONS = [
    "0 0 31 2,4,6,9,11 mon",
    "0 0 29 2 */7",
    "0 0 31 2 1",
    "59 2 29 2 */7",
    "* 2 25 3 */7",
    "* 2 25-31 3 */7",
]
TIME_ZONES = ["UTC", "Europe/Warsaw", "America/New_York", "Australia/Lord_Howe", "Africa/Casablanca", "Pacific/Apia"]
RANDOM_EXPRESSIONS = 3000

ROWS = 300_000
CRON_EXPRESSIONS = {  # in SQL, by the number of cron specs
    "1 cron spec": "'*/5 * * * *'",
    "1,440 cron specs": "n % 60 || ' ' || n / 60 % 24 || ' * * *'",
    "36,000 cron specs": "n % 60 || ' ' || n / 60 % 24 || ' ' || n / 1440 % 25 + 1 || ' * *'",
    "300,000 cron specs": "n % 60 || ' ' || n / 60 % 24 || ' ' || n / 1440 % 28 + 1 || ' ' || n / 40320 + 1 || ' *'",
}
SETTINGS = {"autovacuum": "off", "shared_buffers": "512MB", "max_wal_size": "4GB"}
INSERT = """
    INSERT INTO metrics_executions (model_id, cron_expression)
    SELECT gen_random_uuid(), {expression} FROM generate_series(0, {rows} - 1) AS n
"""

# Empty in a new process.
CACHES = (expressions.parse, expressions._values, expressions._weekdays, wall_clock._day, time_zones._transitions)  # noqa: SLF001

OccurrenceFunction = Callable[[str, str, datetime], datetime]


class ColdCall(NamedTuple):
    """A call with empty caches."""

    seconds: float
    expression: str
    timezone: str


def main() -> None:
    """Run the benchmark, each statement several times (default 5)."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(f"{platform.machine()}, Python {platform.python_version()}, tzdata {time_zones.TZDATA_VERSION}\n")
    measure_usual_expressions()
    measure_slowest_expressions()
    for binaries in (None, OLDEST_POSTGRES):
        if binaries is None or binaries.is_dir():
            measure_validation_trigger(binaries, runs)


def measure_usual_expressions() -> None:
    rng = random.Random(1)
    times = []
    for expression in USUAL_EXPRESSIONS * 200:
        after = datetime(2026, 5, 1, tzinfo=UTC) + timedelta(seconds=rng.randrange(86400 * 60))
        times.append(seconds(next_fire, expression, rng.choice(TIME_ZONES), after))
    print(f"next_fire, usual expressions, no transition near: median {statistics.median(times) * 1e6:.0f} µs", end=" ")
    print(f"({len(times)} calls)")


def measure_slowest_expressions() -> None:
    """Measure at random instants from 1970 to 2100, half of them around a transition; best of three calls."""
    rng = random.Random(2)
    expressions = [
        text for text in (valid_expression(rng).lower() for _ in range(RANDOM_EXPRESSIONS)) if cron_model.is_valid(text)
    ]
    for function in (next_fire, last_fire):
        calls = [measure_cold(function, expression, rng) for expression in [*expressions, *RARE_EXPRESSIONS * 20]]
        slowest = max(calls)
        median = statistics.median(call.seconds for call in calls)
        print(f"{function.__name__}, random and rare expressions, empty caches: median {median * 1e6:.0f} µs,", end=" ")
        print(f'max {slowest.seconds * 1e3:.1f} ms ("{slowest.expression}", {slowest.timezone}; {len(calls)} calls)')


def measure_cold(function: OccurrenceFunction, expression: str, rng: random.Random) -> ColdCall:
    timezone = rng.choice(TIME_ZONES)
    instant = datetime(1970, 1, 1) + timedelta(seconds=rng.randrange(131 * 365 * 86400))  # noqa: DTZ001  # naive UTC
    transition = time_zones.first_transition(timezone, instant, instant + timedelta(days=400))
    if transition and rng.random() < 0.5:
        instant = transition.at + timedelta(minutes=rng.randrange(-180, 180))
    times = []
    for _ in range(3):
        for cache in CACHES:
            cache.cache_clear()
        times.append(seconds(function, expression, timezone, instant.replace(tzinfo=UTC)))
    return ColdCall(min(times), expression, timezone)


def seconds(function: OccurrenceFunction, expression: str, timezone: str, instant: datetime) -> float:
    """Return the duration of a call."""
    started_at = time.perf_counter()
    try:
        function(expression, timezone, instant)
    except InvalidCron:
        assert expression in RARE_EXPRESSIONS
    return time.perf_counter() - started_at


def measure_validation_trigger(binaries: Path | None, runs: int) -> None:
    with local_postgres.running(binaries=binaries, settings=SETTINGS) as server:
        apply(server.url, passwords={role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}, test_data=False)
        db = psycopg2.connect(server.url)
        db.autocommit = True
        version = fetch_value(db, "SHOW server_version")
        print(f"\nPostgreSQL {version}: {ROWS:,} rows in one statement, medians of {runs} runs")
        for label, expression in CRON_EXPRESSIONS.items():
            statements = {
                "insert": INSERT.format(expression=expression, rows=ROWS),
                "update of name": "UPDATE metrics_executions SET name = 'x'",
                "update of timezone": "UPDATE metrics_executions SET timezone = 'Europe/Warsaw'",
            }
            without_triggers = measure_statements(db, "DISABLE", statements, runs)
            with_triggers = measure_statements(db, "ENABLE", statements, runs)
            for name, slow in with_triggers.items():
                fast = without_triggers[name]
                print(f"{label:18} {name:18} {slow:.2f} s, without triggers {fast:.2f} s: {slow / fast:.2f} times")
        db.close()


def measure_statements(db: Connection, triggers: str, statements: dict[str, str], runs: int) -> dict[str, float]:
    """Return the median of each statement in seconds, with the triggers enabled or disabled."""
    times: dict[str, list[float]] = {name: [] for name in statements}
    for _ in range(runs):
        execute(db, f"TRUNCATE metrics_executions; ALTER TABLE metrics_executions {triggers} TRIGGER USER; CHECKPOINT")
        for name, statement in statements.items():
            with Stopwatch() as stopwatch:
                execute(db, statement)
            times[name].append(stopwatch.seconds)
            execute(db, "VACUUM metrics_executions")
    return {name: statistics.median(seconds) for name, seconds in times.items()}


if __name__ == "__main__":
    main()
