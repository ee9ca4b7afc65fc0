"""Reads of the newest label rows of 100 models in small and large tables: python -m benchmarks.label_row_reads.

Read as by a worker, with its role and its query. Each table is in a database of its own on one
server, all are vacuumed, and reads of them alternate: first of 100 random models, whose rows in the
large table are mostly not in shared_buffers (PostgreSQL's default, 128 MB) but in the page cache
of the kernel; then of the same models again, when they are.
"""

import random
import statistics
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field

import psycopg2
from psycopg2.extensions import get_wait_callback, set_wait_callback

from benchmarks.measurements import Measurements, Options, Stopwatch, run_benchmark
from benchmarks.row_sizes import add_row_sizes
from benchmarks.stack import Stack, running
from core import postgres
from sql.apply import apply
from tests.support.databases import execute, fetch_value, model_ids, replace_database
from worker.queries import newest_rows

ROWS_PER_MODEL = 100
BATCH_SIZE = 100  # models in one read, as in one message
READS = 100  # in one run
TABLES = [(1000, 10), (100_000, 10), (1000, 1000)]  # models, labels in a row
STATES = AFTER_RESTART, OTHER_MODELS, SAME_MODELS = "after a restart", "other models each time", "same models again"
SETTINGS = {"max_wal_size": "8GB", "maintenance_work_mem": "512MB"}

# The rows of a model are far from each other, as if many models had logged in turn.
FILL = """
    ALTER TABLE metrics_executions DISABLE TRIGGER USER;
    INSERT INTO metrics_executions (model_id, cron_expression)
        SELECT lpad(to_hex(n), 32, '0')::uuid, '* * * * *' FROM generate_series(1, {models}) AS n;
    ALTER TABLE results DROP CONSTRAINT results_labels_check;
    DROP INDEX results_newest;
    INSERT INTO results (model_id, y_true, y_pred, timestamp)
        SELECT lpad(to_hex(n), 32, '0')::uuid, labels.json, labels.json, now() - age * interval '1 hour'
        FROM (SELECT json_agg((hashint4(n) & 65535) % 10) AS json FROM generate_series(1, {labels}) AS n) AS labels,
            generate_series({rows}, 1, -1) AS age, generate_series(1, {models}) AS n
"""


@dataclass(frozen=True)
class Table:
    """Label rows of so many models, in a database of their own."""

    models: int
    labels: int
    url: str  # of the owner
    milliseconds: dict[str, list[float]] = field(  # of a read in each run, by state
        default_factory=lambda: {state: [] for state in STATES}, compare=False
    )

    def __str__(self) -> str:
        return f"{self.models * ROWS_PER_MODEL:,} rows of {self.labels:,} labels"


def benchmark(measurements: Measurements, options: Options) -> None:
    with running(SETTINGS) as stack:
        measurements.describe_environment(stack.db)
        with unlimited_response_time():
            tables = [create_table(stack, max(BATCH_SIZE, options.scaled(models)), labels) for models, labels in TABLES]
        for table in tables:
            with closing(psycopg2.connect(table.url)) as db:
                add_row_sizes(measurements, db, "results", str(table))
        for _ in range(options.runs):
            measure_reads(stack, tables, options)
    for table in tables:
        for state, times in table.milliseconds.items():
            measurements.add(f"newest rows of {BATCH_SIZE} models, {table}, {state}", "ms", times)
        per_model = [1000 * time / BATCH_SIZE for time in table.milliseconds[SAME_MODELS]]
        measurements.add(f"newest row of a model, {table}", "µs", per_model)
    small, large = tables[:2]
    for state in (OTHER_MODELS, SAME_MODELS):
        pairs = zip(large.milliseconds[state], small.milliseconds[state], strict=True)
        ratios = [slow / fast for slow, fast in pairs]
        measurements.add(f"{large} to {small}, {state}", "times", ratios, "at most 1.5")


@contextmanager
def unlimited_response_time() -> Iterator[None]:
    """Connect without the limit that core.postgres sets for the process: filling a table takes minutes."""
    wait_with_limit = get_wait_callback()
    set_wait_callback(None)
    try:
        yield
    finally:
        set_wait_callback(wait_with_limit)


def create_table(stack: Stack, models: int, labels: int) -> Table:
    """Create a database with schedules and label rows."""
    name = f"of_{models}_models_and_{labels}_labels"
    execute(stack.db, f"CREATE DATABASE {name}")
    url = replace_database(stack.databases.server.url, name)
    apply(url, passwords={}, test_data=False)
    with closing(psycopg2.connect(url)) as db:
        db.autocommit = True
        create_index = fetch_value(db, "SELECT pg_get_indexdef('results_newest'::regclass)")
        execute(db, FILL.format(models=models, labels=labels, rows=ROWS_PER_MODEL))  # faster without the index
        execute(db, create_index)
        for table in ("metrics_executions", "results"):
            execute(db, f"VACUUM ANALYZE {table}")
    return Table(models, labels, url)


def measure_reads(stack: Stack, tables: Sequence[Table], options: Options) -> None:
    """Add the duration of the first read after a restart, and the means of many."""
    stack.databases.server.process.stop()
    stack.databases.restart()
    for table in tables:
        with closing(postgres.connect(stack.databases.url_as("metrics_worker", table.url), "bench")) as connection:
            ids = model_ids(table.models)
            table.milliseconds[AFTER_RESTART].append(read(connection, random.sample(ids, BATCH_SIZE)))
            other_models, same_models = [], []
            for _ in range(options.scaled(READS)):
                batch = random.sample(ids, BATCH_SIZE)
                other_models.append(read(connection, batch))
                same_models.append(read(connection, batch))
            table.milliseconds[OTHER_MODELS].append(statistics.mean(other_models))
            table.milliseconds[SAME_MODELS].append(statistics.mean(same_models))


def read(connection: postgres.Connection, batch: Sequence[str]) -> float:
    """Read the newest rows of models, and return the milliseconds."""
    with Stopwatch() as stopwatch:
        rows = [row for portion in newest_rows(connection, batch, requested=False) for row in portion]
    assert len(rows) == len(batch)
    return stopwatch.seconds * 1000


if __name__ == "__main__":
    run_benchmark("label_row_reads", __doc__, benchmark)
