"""What a row of a table takes on disk."""

from benchmarks.measurements import Figures
from tests.support.databases import Connection, one

PARTS = {
    "itself": "pg_table_size('{0}')",
    "primary key": "pg_relation_size('{0}_pkey')",
    "other indexes": "pg_indexes_size('{0}') - pg_relation_size('{0}_pkey')",
}


def add_sizes(figures: Figures, db: Connection, table: str, what: str) -> None:
    """Add the bytes of a row, in the table and in its indexes; what says which rows these are."""
    count = one(db, f"SELECT count(*) FROM {table}")
    for part, size in PARTS.items():
        took = one(db, f"SELECT {size.format(table)}") / count
        figures.add(f"{table}, {what}, {part}", "B/row", [took])
