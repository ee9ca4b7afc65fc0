"""How long the newest rows of 100 models take in a small and in a large table: python -m benchmarks.label_row_reads.

As a worker reads them, with its rights and its query. Each table is in a database of its own on one
server, all are vacuumed, and they are read by turns: first 100 models by chance, whose rows of the
large table are mostly not in shared_buffers (PostgreSQL's default, 128 MB), but in the kernel's
cache; then the same models again, when they are.
"""

import random
import statistics
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg2

from benchmarks.measurements import Figures, Wanted, Watch, command
from benchmarks.row_sizes import add_sizes
from benchmarks.stack import Stack, running
from core import postgres
from sql.apply import apply
from tests.support.databases import model_ids, replace_database, run
from worker.queries import newest_rows

ROWS_EACH = 100  # of a model
AT_ONCE = 100  # models that are read at once, as in one message
READS = 100  # in one run
PATIENCE = 600.0  # seconds that filling a table, or building its index, may take
TABLES = [(1000, 10), (100_000, 10), (1000, 1000)]  # models, labels of a row
STATES = RESTARTED, OTHERS, AGAIN = "just restarted", "others each time", "read again"
SETTINGS = {"max_wal_size": "8GB", "maintenance_work_mem": "512MB"}

# A model's rows lie far from each other, as they do where many models log by turns.
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
    """A database with as many models; url is its owner's."""

    models: int
    labels: int
    url: str

    def __str__(self) -> str:
        return f"{self.models * ROWS_EACH:,} rows of {self.labels:,} labels"


def bench(figures: Figures, wanted: Wanted) -> None:
    """Measure everything."""
    with running(SETTINGS) as stack:
        figures.describe(stack.db)
        tables = [make(stack, max(AT_ONCE, wanted.size(models)), labels) for models, labels in TABLES]
        for table in tables:
            with closing(psycopg2.connect(table.url)) as db:
                add_sizes(figures, db, "results", str(table))
        took = time_reads(stack, tables, wanted.runs)
    for table in tables:
        for state in STATES:
            figures.add(f"newest rows of {AT_ONCE} models, {table}, {state}", "ms", took[table][state])
        figures.add(f"newest row, {table}", "µs", [1000 * each / AT_ONCE for each in took[table][AGAIN]])
    small, large = tables[:2]
    for state in (OTHERS, AGAIN):
        ratios = [slow / fast for slow, fast in zip(took[large][state], took[small][state], strict=True)]
        figures.add(f"{large} to {small}, {state}", "times", ratios, "at most 1.5")


def make(stack: Stack, models: int, labels: int) -> Table:
    """Make a database with schedules and rows."""
    name = f"of_{models}_models_and_{labels}_labels"
    run(stack.db, f"CREATE DATABASE {name}")
    url = replace_database(stack.databases.server.url, name)
    apply(url, passwords={}, test_data=False)
    with closing(psycopg2.connect(url)) as db:
        db.autocommit = True
        run(db, FILL.format(models=models, labels=labels, rows=ROWS_EACH))
        apply(url, passwords={}, test_data=False)  # makes the index that filling goes better without
        for table in ("metrics_executions", "results"):
            run(db, f"VACUUM ANALYZE {table}")
    return Table(models, labels, url)


def time_reads(stack: Stack, tables: Sequence[Table], runs: int) -> dict[Table, dict[str, list[float]]]:
    """Return milliseconds of a read: the first one after a restart, and the mean of many, of each run."""
    took: dict[Table, dict[str, list[float]]] = {table: {state: [] for state in STATES} for table in tables}
    for _ in range(runs):
        stack.databases.server.process.stop()
        stack.databases.restart()
        for table in tables:
            with closing(postgres.connect(stack.databases.url_as("metrics_worker", table.url), "bench")) as session:
                ids = model_ids(table.models)
                took[table][RESTARTED].append(read(session, random.sample(ids, AT_ONCE)))
                chosen = [random.sample(ids, AT_ONCE) for _ in range(READS)]
                pairs = [(read(session, each), read(session, each)) for each in chosen]
                for state, times in zip((OTHERS, AGAIN), zip(*pairs, strict=True), strict=True):
                    took[table][state].append(statistics.mean(times))
    return took


def read(session: postgres.Connection, chosen: Sequence[str]) -> float:
    """Read the newest rows of models, and return how many milliseconds it took."""
    with Watch() as watch:
        found = [row for portion in newest_rows(session, chosen, requested=False) for row in portion]
    assert len(found) == len(chosen)
    return watch.seconds * 1000


if __name__ == "__main__":
    postgres.RESPONSE_MARGIN = PATIENCE
    command("newest", __doc__, bench)
