"""Table results: constraints, and the function that returns the newest label rows."""

import pytest
from psycopg2.errors import CheckViolation

from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    execute,
    fetch_all,
    fetch_value,
    insert_label_row,
    newest_label_rows,
    set_clock,
)


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ("{}", "[]", "y_true is a JSON object, not an array"),
        ("null", "[]", "y_true is a JSON null, not an array"),
        ("[]", '"a"', "y_pred is a JSON string, not an array"),
        ("[1, 2]", "[1]", "y_true has 2 labels and y_pred has 1"),
    ],
)
def test_labels_that_cannot_be_scored_are_rejected(db: Connection, y_true: str, y_pred: str, message: str) -> None:
    with pytest.raises(CheckViolation) as raised:
        insert_label_row(db, y_true, y_pred)

    assert raised.value.diag.message_primary == message
    assert raised.value.diag.message_hint


def test_empty_arrays_and_labels_of_any_json_type_are_accepted(db: Connection) -> None:
    insert_label_row(db, "[]", "[]")
    insert_label_row(db, '[null, 1, "a", 0.5]', "[[], {}, true, null]")

    assert fetch_value(db, "SELECT count(*) FROM results") == 2


def test_labels_are_of_type_json(db: Connection) -> None:
    types = fetch_all(db, "SELECT data_type FROM information_schema.columns WHERE column_name IN ('y_true', 'y_pred')"
                     " AND table_name = 'results'")  # fmt: skip

    assert types == [("json",), ("json",)]


def test_newest_label_row_has_the_latest_timestamp_then_the_highest_id(db: Connection) -> None:
    for timestamp in ("2026-01-02", "2026-01-01", "2026-01-02"):
        execute(
            db,
            "INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%s, '[1]', '[1]', %s)",
            MODEL, timestamp,
        )  # fmt: skip
    insert_label_row(db, "[1]", "[1]", OTHER)

    assert newest_label_rows(db, MODEL, OTHER) == [(MODEL, 3), (OTHER, 4)]
    assert newest_label_rows(db, "00000000-0000-4000-8000-000000000000") == []


def test_label_row_beyond_max_clock_skew_is_ignored_until_then(db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:00+00")
    for timestamp in ("2026-11-24 12:04:59+00", "2026-11-24 12:05:01+00"):
        execute(
            db,
            "INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%s, '[1]', '[1]', %s)",
            MODEL, timestamp,
        )  # fmt: skip
    assert newest_label_rows(db, MODEL) == [(MODEL, 1)]

    set_clock(db, "2026-11-24 12:01:00+00")
    assert newest_label_rows(db, MODEL) == [(MODEL, 2)]


def test_newest_label_row_is_read_from_the_index(db: Connection) -> None:
    execute(db, "SET enable_seqscan = off")

    plan = "\n".join(line for (line,) in fetch_all(db, f"EXPLAIN SELECT * FROM newest_label_rows('{{{MODEL}}}')"))

    assert "Index Scan using results_newest" in plan
    assert "Sort" not in plan
