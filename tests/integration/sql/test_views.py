"""Functions and views for readers, their plans, and the plans of the scheduler's queries."""

from datetime import timedelta
from pathlib import Path

import pytest

from scheduler.queries import DUE_STATE
from scheduler.tasks.next_runs import SPECS_IN_USE
from tests.support.databases import (
    Connection,
    execute,
    fetch_all,
    fetch_value,
    schedule,
    schedule_many,
    set_clock,
)


def test_planner_inlines_late_after(db: Connection) -> None:
    plan = fetch_all(db, "EXPLAIN SELECT FROM crons WHERE next_due_at < now() - late_after()")

    assert "late_after" not in str(plan)


@pytest.mark.parametrize(
    "query",
    [
        "newest_label_rows('{550e8400-e29b-41d4-a716-446655440000}')",
        "latest_results('{550e8400-e29b-41d4-a716-446655440000}')",
        "due_models('2026-11-24 12:00:00+00')",
    ],
)
def test_planner_inlines_set_returning_functions(db: Connection, query: str) -> None:
    plan = "\n".join(line for (line,) in fetch_all(db, f"EXPLAIN SELECT * FROM {query}"))

    for name in ("newest_label_rows", "latest_results", "due_models"):
        assert f"Function Scan on {name}" not in plan


@pytest.mark.parametrize(
    "query",
    [
        "SELECT model_id FROM due_models('2026-11-24 12:00:00+00')",
        SPECS_IN_USE % {"cron": "''", "zone": "''", "limit": 100},
        "SELECT min(active_since) FROM metrics_executions"
        " WHERE enabled AND cron_expression = '@daily' AND timezone = 'UTC'",
    ],
    ids=["due models", "cron specs in use", "first active"],
)
def test_scheduler_queries_of_schedules_are_index_only_scans(db: Connection, query: str) -> None:
    execute(db, "SET enable_seqscan = off; SET enable_bitmapscan = off")

    plan = "\n".join(line for (line,) in fetch_all(db, f"EXPLAIN {query}"))

    assert "Index Only Scan using metrics_executions_enabled" in plan
    assert "Sort" not in plan


def test_due_state_is_read_from_indexes_after_a_bulk_insert(db: Connection) -> None:
    """Without statistics, the planner would assume that each new row requests a run."""
    schedule_many(db, 5000)
    execute(db, "INSERT INTO crons (cron_expression, timezone, error, tzdata_version) SELECT n::text, 'UTC', 'x', 'x'"
            " FROM generate_series(1, 5000) AS n")  # fmt: skip

    query = DUE_STATE % {"unrecorded": "'{}'"}
    plan = "\n".join(line for (line,) in fetch_all(db, f"EXPLAIN {query}"))

    assert "Index Only Scan using metrics_executions_run_requested" in plan
    assert "Seq Scan" not in plan


def test_due_models_are_enabled_active_before_and_due(db: Connection) -> None:
    ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(5)]
    set_clock(db, "2026-11-24 11:59:59+00")
    for model_id in ids[:3]:
        schedule(db, model_id, "0 12 * * *")
    schedule(db, ids[3], "1 12 * * *")
    execute(db, "UPDATE metrics_executions SET enabled = false WHERE model_id = %s", ids[1])
    set_clock(db, "2026-11-24 12:00:00+00")
    schedule(db, ids[4], "0 12 * * *")
    execute(
        db,
        "INSERT INTO crons (cron_expression, timezone, next_due_at, tzdata_version)"
        " VALUES ('0 12 * * *', 'UTC', '2026-11-24 12:00+00', 'x'), ('1 12 * * *', 'UTC', '2026-11-24 12:01+00', 'x')",
    )

    due = fetch_all(db, "SELECT model_id::text FROM due_models('2026-11-24 12:00:00+00') ORDER BY 1")

    assert due == [(ids[0],), (ids[2],)]


@pytest.mark.parametrize(
    ("cron", "status"),
    [
        ("NULL", "new"),
        ("('2026-11-24 12:01:00+00', NULL)", "scheduled"),
        ("('2026-11-24 11:59:15+00', NULL)", "late"),
        ("(NULL, 'cannot be fired')", "error"),
    ],
)
def test_schedule_status_of_every_state(db: Connection, cron: str, status: str) -> None:
    set_clock(db, "2026-11-24 11:00:00+00")
    schedule(db)
    set_clock(db, "2026-11-24 12:00:00+00")
    if cron != "NULL":
        execute(db, "INSERT INTO crons (cron_expression, timezone, tzdata_version, next_due_at, error)"
                f" SELECT '* * * * *', 'UTC', 'x', due::timestamptz, error FROM (VALUES {cron}) AS cron (due, error)"
        )  # fmt: skip

    assert fetch_value(db, "SELECT status FROM schedule_status") == status
    execute(db, "UPDATE metrics_executions SET enabled = false")
    assert fetch_all(db, "SELECT status, next_run_at, error FROM schedule_status") == [("paused", None, None)]


def test_fires_have_lag_and_duration(db: Connection) -> None:
    execute(
        db,
        "INSERT INTO fires (due_at, fired_at, finished_at, leader) VALUES"
        " ('2026-11-24 12:00+00', '2026-11-26 12:00:00.005+00', '2026-11-26 12:00:02+00', 'x'),"
        " ('2026-11-24 12:01+00', NULL, NULL, 'x')",
    )

    assert fetch_all(db, "SELECT lag, duration FROM fires ORDER BY due_at") == [
        (timedelta(days=2, milliseconds=5), timedelta(seconds=1.995)),
        (None, None),
    ]


def test_every_table_view_and_column_has_a_comment(db: Connection) -> None:
    missing = fetch_all(
        db,
        "SELECT class.relname, attribute.attname"
        " FROM pg_class AS class JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid"
        " WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'v')"
        " AND attribute.attnum > 0 AND NOT attribute.attisdropped"
        " AND (col_description(class.oid, attribute.attnum) IS NULL OR obj_description(class.oid) IS NULL)",
    )

    assert missing == []


def test_every_function_has_a_comment(db: Connection) -> None:
    missing = fetch_all(
        db,
        "SELECT proname FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL",
    )

    assert missing == []


def test_every_script_is_ascii_and_begins_with_a_comment() -> None:
    for script in Path("sql").glob("*.sql"):
        assert script.read_text(encoding="ascii").startswith("-- "), script
