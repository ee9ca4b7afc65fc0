"""Size of a table row on disk."""

from benchmarks.measurements import Measurements
from tests.support.databases import Connection, fetch_value

PARTS = {
    "table": "pg_table_size('{0}')",
    "primary key": "pg_relation_size('{0}_pkey')",
    "other indexes": "pg_indexes_size('{0}') - pg_relation_size('{0}_pkey')",
}


def add_row_sizes(measurements: Measurements, db: Connection, table: str, contents: str) -> None:
    """Add the bytes of a row, in the table and in its indexes; contents describes the rows."""
    count = fetch_value(db, f"SELECT count(*) FROM {table}")
    for part, size in PARTS.items():
        bytes_per_row = fetch_value(db, f"SELECT {size.format(table)}") / count
        measurements.add(f"{table}, {contents}, {part}", "B/row", [bytes_per_row])
