"""Rows of a query as NamedTuples."""

from typing import NamedTuple

import pytest

from api.rows import fetch_record, fetch_records, fetch_row, to_record
from tests.support.databases import Connection


class Point(NamedTuple):
    x: int
    y: int


def test_fields_are_read_by_name_in_any_order_of_the_columns(db: Connection) -> None:
    with db.cursor() as cur:
        cur.execute("SELECT n + 1 AS y, 'ignored' AS z, n AS x FROM generate_series(1, 2) AS n")

        assert fetch_records(cur, Point) == [Point(x=1, y=2), Point(x=2, y=3)]


def test_record_of_no_row_is_none(db: Connection) -> None:
    with db.cursor() as cur:
        cur.execute("SELECT 1 AS x, 2 AS y WHERE false")
        assert fetch_record(cur, Point) is None
        cur.execute("SELECT 1 AS x, 2 AS y WHERE false")
        assert fetch_row(cur) is None


def test_missing_column_raises_an_error(db: Connection) -> None:
    with db.cursor() as cur:
        cur.execute("SELECT 1 AS x, 2 AS z")
        with pytest.raises(ValueError, match="'y' is not in list"):
            fetch_records(cur, Point)


def test_prefix_tells_columns_of_two_records_apart(db: Connection) -> None:
    with db.cursor() as cur:
        cur.execute("SELECT 1 AS from_x, 2 AS from_y, 3 AS to_x, 4 AS to_y")
        row = fetch_row(cur)

    assert row is not None
    assert (to_record(row, Point, "from_"), to_record(row, Point, "to_")) == (Point(1, 2), Point(3, 4))
