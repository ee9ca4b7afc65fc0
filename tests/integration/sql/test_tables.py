"""The other tables, the functions that readers use, the roles, and the scripts themselves."""

import subprocess
import threading
import time
from datetime import timedelta
from pathlib import Path

import psycopg2
import pytest
from psycopg2.errors import CheckViolation, ForeignKeyViolation, InsufficientPrivilege

from devstack.cluster import embedded_binaries
from devstack.ports import free_port
from scheduler.queries import DUE_STATE
from scheduler.tasks.next_runs import SPECS_IN_USE
from sql.apply import ApplyError, apply
from tests.support.databases import (
    DEADLINE,
    MODEL,
    OTHER,
    Connection,
    Databases,
    log_labels,
    one,
    past_the_triggers,
    replace_database,
    rows,
    run,
    schedule,
    schedule_many,
    set_clock,
    wait_for,
)

OLD_INDEX = """
    CREATE INDEX metrics_executions_due ON metrics_executions (cron_expression, timezone)
        INCLUDE (model_id, active_since) WHERE enabled
"""


@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ("{}", "[]", "y_true is a JSON object, not an array"),
        ("null", "[]", "y_true is a JSON null, not an array"),
        ("[]", '"a"', "y_pred is a JSON string, not an array"),
        ("[1, 2]", "[1]", "y_true has 2 labels and y_pred has 1"),
    ],
)
def test_results_refuses_what_can_never_be_scored(db: Connection, y_true: str, y_pred: str, message: str) -> None:
    with pytest.raises(CheckViolation) as refusal:
        log_labels(db, y_true, y_pred)

    assert refusal.value.diag.message_primary == message
    assert refusal.value.diag.message_hint


def test_results_takes_empty_arrays_and_odd_labels(db: Connection) -> None:
    log_labels(db, "[]", "[]")
    log_labels(db, '[null, 1, "a", 0.5]', "[[], {}, true, null]")

    assert one(db, "SELECT count(*) FROM results") == 2


def test_labels_are_of_type_json(db: Connection) -> None:
    types = rows(db, "SELECT data_type FROM information_schema.columns WHERE column_name IN ('y_true', 'y_pred')"
                     " AND table_name = 'results'")  # fmt: skip

    assert types == [("json",), ("json",)]


def newest(db: Connection, *model_ids: str) -> list[tuple[str, int]]:
    found = rows(db, "SELECT model_id::text, id FROM newest_label_rows(%s::uuid[]) ORDER BY id", list(model_ids))
    return [(model_id, number) for model_id, number in found]


def test_the_newest_row_is_by_timestamp_then_by_id(db: Connection) -> None:
    for timestamp in ("2026-01-02", "2026-01-01", "2026-01-02"):
        run(
            db,
            "INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%s, '[1]', '[1]', %s)",
            MODEL, timestamp,
        )  # fmt: skip
    log_labels(db, "[1]", "[1]", OTHER)

    assert newest(db, MODEL, OTHER) == [(MODEL, 3), (OTHER, 4)]
    assert newest(db, "00000000-0000-4000-8000-000000000000") == []


def test_a_row_of_the_future_does_not_count_yet(db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:00+00")
    for timestamp in ("2026-11-24 12:04:59+00", "2026-11-24 12:05:01+00"):
        run(
            db,
            "INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%s, '[1]', '[1]', %s)",
            MODEL, timestamp,
        )  # fmt: skip
    assert newest(db, MODEL) == [(MODEL, 1)]

    set_clock(db, "2026-11-24 12:01:00+00")
    assert newest(db, MODEL) == [(MODEL, 2)]


def test_the_planner_sees_through_the_limit_of_lateness(db: Connection) -> None:
    plan = rows(db, "EXPLAIN SELECT FROM crons WHERE next_due_at < now() - late_after()")

    assert "late_after" not in str(plan)


@pytest.mark.parametrize(
    "query",
    ["newest_label_rows('{550e8400-e29b-41d4-a716-446655440000}')", "due_models('2026-11-24 12:00:00+00')"],
)
def test_the_planner_sees_through_the_functions(db: Connection, query: str) -> None:
    plan = "\n".join(line for (line,) in rows(db, f"EXPLAIN SELECT * FROM {query}"))

    assert "Function Scan on newest_label_rows" not in plan
    assert "Function Scan on due_models" not in plan


@pytest.mark.parametrize(
    "query",
    [
        "SELECT model_id FROM due_models('2026-11-24 12:00:00+00')",
        SPECS_IN_USE % {"cron": "''", "zone": "''", "limit": 100},
        "SELECT min(active_since) FROM metrics_executions"
        " WHERE enabled AND cron_expression = '@daily' AND timezone = 'UTC'",
    ],
    ids=["due models", "pairs in use", "first active"],
)
def test_the_scheduler_reads_schedules_from_an_index_alone(db: Connection, query: str) -> None:
    run(db, "SET enable_seqscan = off; SET enable_bitmapscan = off")

    plan = "\n".join(line for (line,) in rows(db, f"EXPLAIN {query}"))

    assert "Index Only Scan using metrics_executions_enabled" in plan
    assert "Sort" not in plan


def test_a_look_reads_no_table_however_many_rows_were_just_added(db: Connection) -> None:
    """The planner has no statistics of them yet, and would take each for one that requests a run."""
    schedule_many(db, 5000)
    run(db, "INSERT INTO crons (cron_expression, timezone, tzdata_version) SELECT n::text, 'UTC', 'x'"
            " FROM generate_series(1, 5000) AS n")  # fmt: skip

    look = DUE_STATE % {"unrecorded": "'{}'"}
    plan = "\n".join(line for (line,) in rows(db, f"EXPLAIN {look}"))

    assert "Index Only Scan using metrics_executions_run_requested" in plan
    assert "Seq Scan" not in plan


def test_the_newest_row_comes_from_the_index(db: Connection) -> None:
    run(db, "SET enable_seqscan = off")

    plan = "\n".join(line for (line,) in rows(db, f"EXPLAIN SELECT * FROM newest_label_rows('{{{MODEL}}}')"))

    assert "Index Scan using results_newest" in plan
    assert "Sort" not in plan


def test_due_models_are_enabled_active_before_and_due(db: Connection) -> None:
    ids = [f"00000000-0000-4000-8000-00000000000{number}" for number in range(5)]
    set_clock(db, "2026-11-24 11:59:59+00")
    for model_id in ids[:3]:
        schedule(db, model_id, "0 12 * * *")
    schedule(db, ids[3], "1 12 * * *")
    run(db, "UPDATE metrics_executions SET enabled = false WHERE model_id = %s", ids[1])
    set_clock(db, "2026-11-24 12:00:00+00")
    schedule(db, ids[4], "0 12 * * *")
    run(
        db,
        "INSERT INTO crons (cron_expression, timezone, next_due_at, tzdata_version)"
        " VALUES ('0 12 * * *', 'UTC', '2026-11-24 12:00+00', 'x'), ('1 12 * * *', 'UTC', '2026-11-24 12:01+00', 'x')",
    )

    due = rows(db, "SELECT model_id::text FROM due_models('2026-11-24 12:00:00+00') ORDER BY 1")

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
def test_the_status_view_says_how_a_schedule_is(db: Connection, cron: str, status: str) -> None:
    set_clock(db, "2026-11-24 11:00:00+00")
    schedule(db)
    set_clock(db, "2026-11-24 12:00:00+00")
    if cron != "NULL":
        run(db, "INSERT INTO crons (cron_expression, timezone, tzdata_version, next_due_at, error)"
                f" SELECT '* * * * *', 'UTC', 'x', due::timestamptz, error FROM (VALUES {cron}) AS cron (due, error)"
        )  # fmt: skip

    assert one(db, "SELECT status FROM schedule_status") == status
    run(db, "UPDATE metrics_executions SET enabled = false")
    assert rows(db, "SELECT status, next_run_at, error FROM schedule_status") == [("paused", None, None)]


def test_every_table_view_and_column_has_a_comment(db: Connection) -> None:
    missing = rows(
        db,
        "SELECT class.relname, attribute.attname"
        " FROM pg_class AS class JOIN pg_attribute AS attribute ON attribute.attrelid = class.oid"
        " WHERE class.relnamespace = 'public'::regnamespace AND class.relkind IN ('r', 'v')"
        " AND attribute.attnum > 0 AND NOT attribute.attisdropped"
        " AND (col_description(class.oid, attribute.attnum) IS NULL OR obj_description(class.oid) IS NULL)",
    )

    assert missing == []


def test_every_function_has_a_comment(db: Connection) -> None:
    missing = rows(
        db,
        "SELECT proname FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace AND obj_description(oid, 'pg_proc') IS NULL",
    )

    assert missing == []


def test_every_script_says_what_it_is_for_in_any_encoding() -> None:
    for script in Path("sql").glob("*.sql"):
        assert script.read_text(encoding="ascii").startswith("-- "), script


ALLOWED = {
    "metrics_api": {
        "metrics_executions": "SIUD",
        "crons": "S",
        "fires": "S",
        "retired_fires": "S",
        "leader": "S",
        "schedule_status": "S",
    },
    "metrics_scheduler": {
        "metrics_executions": "S",
        "crons": "SIUD",
        "fires": "SIUD",
        "retired_fires": "SU",
        "run_requests": "SIUD",
        "leader": "SU",
        "results": "D",
    },
    "metrics_worker": {"metrics_executions": "S", "results": "S"},
    "metrics_client": {
        "metrics_executions": "SIUD",
        "results": "SI",
        "crons": "S",
        "fires": "S",
        "leader": "S",
        "schedule_status": "S",
    },
}


@pytest.mark.parametrize("role", ALLOWED)
def test_a_role_may_do_what_it_needs_and_nothing_else(db: Connection, role: str) -> None:
    tables = [name for (name,) in rows(db, "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
                                           " AND relkind IN ('r', 'v')")]  # fmt: skip
    allowed = {}
    for table in tables:
        rights = [
            right[0]
            for right in ("SELECT", "INSERT", "UPDATE", "DELETE")
            if one(db, "SELECT has_table_privilege(%s, %s, %s)", role, f"public.{table}", right)
        ]
        allowed[table] = "".join(rights)

    assert allowed.pop("time_zones") == "S"
    assert {table: rights for table, rights in allowed.items() if rights} == ALLOWED[role]
    assert rows(db, "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
                    " FROM pg_roles WHERE rolname = %s", role) == [(False,)]  # fmt: skip


def test_the_scheduler_may_clear_requests_and_change_nothing_else(
    db: Connection, databases: Databases, database_url: str
) -> None:
    schedule(db)
    scheduler = psycopg2.connect(databases.url_as("metrics_scheduler", database_url))
    scheduler.autocommit = True

    run(scheduler, "UPDATE metrics_executions SET run_requested_at = NULL")
    with pytest.raises(InsufficientPrivilege):
        run(scheduler, "UPDATE metrics_executions SET enabled = false")
    scheduler.close()


def test_the_scheduler_may_find_and_delete_results_and_not_read_their_labels(
    db: Connection, databases: Databases, database_url: str
) -> None:
    log_labels(db, "[1]", "[1]")
    scheduler = psycopg2.connect(databases.url_as("metrics_scheduler", database_url))
    scheduler.autocommit = True

    for refused in ("SELECT y_true FROM results", "UPDATE results SET timestamp = now()"):
        with pytest.raises(InsufficientPrivilege):
            run(scheduler, refused)
    run(scheduler, "DELETE FROM results WHERE model_id = %s", MODEL)
    scheduler.close()


def test_clients_of_their_own_pass_the_gate(db: Connection, databases: Databases, database_url: str) -> None:
    client = psycopg2.connect(databases.url_as("metrics_client", database_url))
    client.autocommit = True

    schedule(client)
    log_labels(client, "[1]", "[1]")
    with pytest.raises(CheckViolation):
        schedule(client, OTHER, "61 * * * *")
    client.close()


def test_applying_again_changes_nothing_and_waits_for_nobody(
    db: Connection, database_url: str, passwords: dict[str, str]
) -> None:
    """An upgrade beside a busy database: a transaction has read and written it, and holds what VACUUM holds."""
    schedule(db)
    log_labels(db, "[1]", "[1]")
    busy = psycopg2.connect(database_url)
    run(busy, "UPDATE metrics_executions SET name = 'busy'")
    run(busy, "INSERT INTO results (model_id, y_true, y_pred) VALUES (%s, '[1]', '[1]')", OTHER)
    run(busy, "SELECT FROM schedule_status")
    run(
        busy,
        "LOCK TABLE metrics_executions, results, crons, fires, retired_fires, leader, time_zones"
        " IN SHARE UPDATE EXCLUSIVE MODE",
    )
    before = dump_catalog(db)

    finished = threading.Event()

    def again() -> None:
        apply(database_url, passwords=passwords, test_data=False)
        finished.set()

    thread = threading.Thread(target=again)
    thread.start()
    finished.wait(DEADLINE)
    in_time = finished.is_set()
    busy.rollback()
    busy.close()
    thread.join()

    assert in_time
    assert dump_catalog(db) == before
    assert one(db, "SELECT count(*) FROM metrics_executions") == 1


def test_an_upgrade_that_must_wait_holds_up_nobody_for_long(
    db: Connection, database_url: str, passwords: dict[str, str]
) -> None:
    """A new index of a table to which a client has written and not committed: others write to it meanwhile."""
    run(db, "DROP INDEX results_newest")
    busy = psycopg2.connect(database_url)
    log_labels(busy, "[1]", "[1]")
    upgrade = threading.Thread(target=apply, args=(database_url,), kwargs={"passwords": passwords, "test_data": False})

    upgrade.start()
    took: list[float] = []

    def have_waited() -> bool:
        started = time.monotonic()
        log_labels(db, "[1]", "[1]", OTHER)
        took.append(time.monotonic() - started)
        return max(took) > 0.5 and len(took) >= 60

    wait_for(have_waited)
    waited = upgrade.is_alive()
    busy.rollback()
    busy.close()
    upgrade.join(DEADLINE)

    assert waited
    assert max(took) < 2.0  # LOCK_TIMEOUT is 1 s
    assert one(db, "SELECT to_regclass('results_newest') IS NOT NULL")


def test_applying_again_brings_descriptions_up_to_date(
    db: Connection, database_url: str, passwords: dict[str, str]
) -> None:
    run(db, "COMMENT ON TABLE results IS 'as it was'")
    run(db, 'COMMENT ON COLUMN results."timestamp" IS NULL')

    apply(database_url, passwords=passwords, test_data=False)

    [described] = rows(
        db,
        "SELECT obj_description(attrelid, 'pg_class'), col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = 'results'::regclass AND attname = 'timestamp'",
    )
    assert described[0].startswith("What models predicted")
    assert described[1].startswith("When the predictions were made")


def test_an_earlier_version_is_brought_up_to_date(db: Connection, database_url: str, passwords: dict[str, str]) -> None:
    """As it was before fires had lag and duration, and totals, with another view, and with other indexes."""
    before = dump_catalog(db)
    [(view,)] = rows(db, "SELECT pg_get_viewdef('schedule_status')")
    run(db, "CREATE OR REPLACE VIEW schedule_status AS " + view.replace("late_after()", "'00:01'::interval"))
    run(db, "DROP FUNCTION late_after")
    run(db, "ALTER TABLE fires DROP lag, DROP duration")
    run(db, "DROP INDEX metrics_executions_enabled, metrics_executions_paused, metrics_executions_zone, crons_error")
    run(db, OLD_INDEX)
    run(db, "DROP TABLE retired_fires")
    run(
        db, "INSERT INTO fires (due_at, fired_at, leader) VALUES ('2026-11-24 12:00+00', '2026-11-24 12:00:01+00', 'x')"
    )

    apply(database_url, passwords=passwords, test_data=False)

    assert dump_catalog(db) == before
    assert one(db, "SELECT lag FROM fires") == timedelta(seconds=1)


def test_an_index_that_cannot_be_dropped_yet_does_not_undo_the_new_ones(
    db: Connection, database_url: str, passwords: dict[str, str]
) -> None:
    """Somebody reads the table in a transaction that stays open."""
    run(db, "DROP INDEX metrics_executions_enabled")
    run(db, OLD_INDEX)
    reader = psycopg2.connect(database_url)
    rows(reader, "SELECT FROM metrics_executions")
    upgrade = threading.Thread(target=apply, args=(database_url,), kwargs={"passwords": passwords, "test_data": False})

    upgrade.start()
    wait_for(lambda: one(db, "SELECT to_regclass('metrics_executions_enabled') IS NOT NULL"))
    waited = upgrade.is_alive()
    reader.rollback()
    reader.close()
    upgrade.join(DEADLINE)

    assert waited
    assert one(db, "SELECT to_regclass('metrics_executions_due') IS NULL")


def test_fires_say_how_late_and_how_long(db: Connection) -> None:
    run(
        db,
        "INSERT INTO fires (due_at, fired_at, finished_at, leader) VALUES"
        " ('2026-11-24 12:00+00', '2026-11-26 12:00:00.005+00', '2026-11-26 12:00:02+00', 'x'),"
        " ('2026-11-24 12:01+00', NULL, NULL, 'x')",
    )

    assert rows(db, "SELECT lag, duration FROM fires ORDER BY due_at") == [
        (timedelta(days=2, milliseconds=5), timedelta(seconds=1.995)),
        (None, None),
    ]


def dump_catalog(db: Connection) -> list[tuple[object, ...]]:
    return rows(
        db,
        "SELECT relname, relkind::text, coalesce(pg_get_viewdef(oid), pg_get_indexdef(oid)) FROM pg_class"
        " WHERE relnamespace = 'public'::regnamespace"
        " UNION ALL SELECT attrelid::regclass || '.' || attname, 'column', col_description(attrelid, attnum)"
        " FROM pg_attribute WHERE attrelid IN ("
        "   SELECT oid FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v'))"
        " AND attnum > 0 AND NOT attisdropped"
        " UNION ALL SELECT tgname, 'trigger', pg_get_triggerdef(oid) FROM pg_trigger"
        " UNION ALL SELECT proname, 'function', pg_get_functiondef(oid) FROM pg_proc"
        " WHERE pronamespace = 'public'::regnamespace ORDER BY 1, 2, 3",
    )


def test_a_database_that_is_away_is_named_in_one_line() -> None:
    with pytest.raises(ApplyError, match=r"^the scripts of sql/ cannot be applied: .*Connection refused[^\n]*$"):
        apply(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing", passwords={}, test_data=False)


@pytest.mark.parametrize(
    "password", ["correct-horse/word", "word/correct-horse", "word@correct-horse", "correct-horse%"]
)
def test_an_address_that_cannot_be_read_is_not_repeated(password: str) -> None:
    with pytest.raises(ApplyError, match=r"^DATABASE_URL cannot be read; write ") as refusal:
        apply(f"postgresql://nobody:{password}@127.0.0.1:9/nothing", passwords={}, test_data=False)

    assert "correct-horse" not in str(refusal.value)


def test_two_at_once_apply_one_after_the_other(databases: Databases, db: Connection, passwords: dict[str, str]) -> None:
    """Into an empty database, as two containers that start together would."""
    run(db, "CREATE DATABASE empty")
    url = replace_database(databases.template_url, "empty")
    failures: list[BaseException] = []

    def once() -> None:
        try:
            apply(url, passwords=passwords, test_data=True)
        except BaseException as failure:  # shown by the assertion below
            failures.append(failure)

    threads = [threading.Thread(target=once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection = psycopg2.connect(url)
    count = one(connection, "SELECT count(*) FROM results")
    connection.close()
    run(db, "DROP DATABASE empty")

    assert failures == []
    assert count == 40


def test_dump_and_restore_keep_rows_and_gate(db: Connection, database_url: str) -> None:
    binaries = embedded_binaries()  # newer than any server that we test with, as pg_dump must be
    for expression, zone in [
        ("0 9 * * mon-fri", "Europe/Warsaw"),
        ("@daily", "UTC"),
        ("0 0 31 2 1", "America/New_York"),
    ]:
        run(db, "INSERT INTO metrics_executions (model_id, name, cron_expression, timezone, enabled)"
                " VALUES (gen_random_uuid(), 'a name', %s, %s, %s)", expression, zone, zone != "UTC")  # fmt: skip
    with past_the_triggers(db):
        schedule(db, OTHER, "R R * * *", "Mars/Olympus")  # what got past the gate is kept as well
    log_labels(db, "[1]", "[1]")
    run(db, "INSERT INTO crons VALUES ('@daily', 'UTC', '2030-01-01', NULL, NULL, 'x')")
    run(db, "INSERT INTO fires (due_at, leader) VALUES ('2026-01-01', 'x')")
    dump = subprocess.run([binaries / "pg_dump", database_url], capture_output=True, text=True, check=True)

    run(db, "CREATE DATABASE restored")
    url = replace_database(database_url, "restored")
    if one(db, "SHOW server_version_num") < "170000":
        dump.stdout = dump.stdout.replace("SET transaction_timeout = 0;", "")
    subprocess.run([binaries / "psql", "-q", "-v", "ON_ERROR_STOP=1", url], input=dump.stdout, text=True, check=True)
    restored = psycopg2.connect(url)
    restored.autocommit = True
    try:
        for table in ("metrics_executions", "results", "crons", "fires", "retired_fires", "leader", "time_zones"):
            every_row = f"SELECT found::text FROM {table} AS found ORDER BY 1"
            assert rows(restored, every_row) == rows(db, every_row)
        assert dump_catalog(restored) == dump_catalog(db)
        with pytest.raises(CheckViolation, match="minute"):
            schedule(restored, MODEL, "61 * * * *")
        with pytest.raises(ForeignKeyViolation, match="CET"):
            schedule(restored, MODEL, zone="CET")
        with pytest.raises(CheckViolation):
            log_labels(restored, "[1]", "[]")
        schedule(restored, MODEL, " 1  1 * * *")
        assert one(restored, "SELECT cron_expression FROM metrics_executions WHERE model_id = %s", MODEL) == "1 1 * * *"
    finally:
        restored.close()
        run(db, "DROP DATABASE restored")
