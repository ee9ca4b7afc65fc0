"""Rows of a query as NamedTuples, field by field by the names of the columns."""

from collections.abc import Mapping
from operator import itemgetter
from typing import Any, NamedTuple, TypeVar

from psycopg2.extensions import cursor

Record = TypeVar("Record", bound=NamedTuple)


def fetch_records(cur: cursor, record_type: type[Record]) -> list[Record]:
    """Return the rows; each has a column for each field, of which there are two or more."""
    names = _column_names(cur)
    in_order = itemgetter(*(names.index(field) for field in record_type._fields))
    return [record_type._make(in_order(row)) for row in cur.fetchall()]


def fetch_record(cur: cursor, record_type: type[Record]) -> Record | None:
    """Return the first row, or None."""
    records = fetch_records(cur, record_type)
    return records[0] if records else None


def fetch_row(cur: cursor) -> dict[str, Any] | None:
    """Return the first row as values by column name, or None."""
    rows = fetch_rows(cur)
    return rows[0] if rows else None


def fetch_rows(cur: cursor) -> list[dict[str, Any]]:
    """Return the rows as values by column name."""
    names = _column_names(cur)
    return [dict(zip(names, row, strict=True)) for row in cur.fetchall()]


def to_record(row: Mapping[str, Any], record_type: type[Record], prefix: str = "") -> Record:
    """Return the columns of a row that have the names of the fields, after a prefix."""
    return record_type._make(row[prefix + field] for field in record_type._fields)


def _column_names(cur: cursor) -> list[str]:
    return [column.name for column in cur.description or ()]
