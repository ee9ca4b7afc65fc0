"""sql/apply.py: repeated, concurrent and failing runs, and dumps of the result."""

import subprocess
import threading

import psycopg2
import pytest
from psycopg2.errors import CheckViolation, ForeignKeyViolation

from devstack.cluster import embedded_binaries
from devstack.ports import free_port
from sql.apply import ApplyError, apply
from tests.support.catalog import dump_catalog
from tests.support.databases import (
    DEFAULT_TIMEOUT,
    MODEL,
    OTHER,
    Connection,
    Databases,
    bypass_triggers,
    execute,
    fetch_all,
    fetch_value,
    insert_label_row,
    replace_database,
    schedule,
)


def test_second_run_changes_nothing_and_waits_for_no_transaction(
    db: Connection, database_url: str, passwords: dict[str, str]
) -> None:
    """An open transaction has read and written the tables, and holds the locks of VACUUM."""
    schedule(db)
    insert_label_row(db, "[1]", "[1]")
    busy = psycopg2.connect(database_url)
    execute(busy, "UPDATE metrics_executions SET name = 'busy'")
    execute(busy, "INSERT INTO results (model_id, y_true, y_pred) VALUES (%s, '[1]', '[1]')", OTHER)
    execute(busy, "SELECT FROM schedule_status")
    execute(
        busy,
        "LOCK TABLE metrics_executions, results, crons, fires, retired_fires, leader, time_zones"
        " IN SHARE UPDATE EXCLUSIVE MODE",
    )
    before = dump_catalog(db)

    finished = threading.Event()

    def apply_again() -> None:
        apply(database_url, passwords=passwords, test_data=False)
        finished.set()

    thread = threading.Thread(target=apply_again)
    thread.start()
    finished.wait(DEFAULT_TIMEOUT)
    finished_in_time = finished.is_set()
    busy.rollback()
    busy.close()
    thread.join()

    assert finished_in_time
    assert dump_catalog(db) == before
    assert fetch_value(db, "SELECT count(*) FROM metrics_executions") == 1


def test_second_run_updates_descriptions(db: Connection, database_url: str, passwords: dict[str, str]) -> None:
    execute(db, "COMMENT ON TABLE results IS 'as it was'")
    execute(db, 'COMMENT ON COLUMN results."timestamp" IS NULL')

    apply(database_url, passwords=passwords, test_data=False)

    [descriptions] = fetch_all(
        db,
        "SELECT obj_description(attrelid, 'pg_class'), col_description(attrelid, attnum) FROM pg_attribute"
        " WHERE attrelid = 'results'::regclass AND attname = 'timestamp'",
    )
    assert descriptions[0].startswith("The label rows: ")
    assert descriptions[1].startswith("Time of the predictions. ")


def test_unavailable_database_is_reported_in_one_line() -> None:
    with pytest.raises(ApplyError, match=r"^the scripts of sql/ cannot be applied: .*Connection refused[^\n]*$"):
        apply(f"postgresql://nobody@127.0.0.1:{free_port()}/nothing", passwords={}, test_data=False)


@pytest.mark.parametrize(
    "password", ["correct-horse/word", "word/correct-horse", "word@correct-horse", "correct-horse%"]
)
def test_malformed_database_url_is_not_printed(password: str) -> None:
    with pytest.raises(ApplyError, match=r"^DATABASE_URL cannot be read; write ") as raised:
        apply(f"postgresql://nobody:{password}@127.0.0.1:9/nothing", passwords={}, test_data=False)

    assert "correct-horse" not in str(raised.value)


def test_concurrent_runs_are_serialized(databases: Databases, db: Connection, passwords: dict[str, str]) -> None:
    """Two runs on an empty database, as by two containers that start together."""
    execute(db, "CREATE DATABASE empty")
    url = replace_database(databases.template_url, "empty")
    errors: list[BaseException] = []

    def apply_once() -> None:
        try:
            apply(url, passwords=passwords, test_data=True)
        except BaseException as error:  # shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=apply_once) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    connection = psycopg2.connect(url)
    count = fetch_value(connection, "SELECT count(*) FROM results")
    connection.close()
    execute(db, "DROP DATABASE empty")

    assert errors == []
    assert count == 40


def test_dump_and_restore_keep_rows_and_validation(db: Connection, database_url: str) -> None:
    binaries = embedded_binaries()  # pg_dump must not be older than the server
    for expression, zone in [
        ("0 9 * * mon-fri", "Europe/Warsaw"),
        ("@daily", "UTC"),
        ("0 0 31 2 1", "America/New_York"),
    ]:
        execute(db, "INSERT INTO metrics_executions (model_id, name, cron_expression, timezone, enabled)"
                " VALUES (gen_random_uuid(), 'a name', %s, %s, %s)", expression, zone, zone != "UTC")  # fmt: skip
    with bypass_triggers(db):
        schedule(db, OTHER, "R R * * *", "Mars/Olympus")  # rows that bypassed the validation are kept as well
    insert_label_row(db, "[1]", "[1]")
    execute(db, "INSERT INTO crons VALUES ('@daily', 'UTC', '2030-01-01', NULL, NULL, 'x')")
    execute(db, "INSERT INTO fires (due_at, leader) VALUES ('2026-01-01', 'x')")
    dump = subprocess.run([binaries / "pg_dump", database_url], capture_output=True, text=True, check=True)

    execute(db, "CREATE DATABASE restored")
    url = replace_database(database_url, "restored")
    if fetch_value(db, "SHOW server_version_num") < "170000":
        dump.stdout = dump.stdout.replace("SET transaction_timeout = 0;", "")
    subprocess.run([binaries / "psql", "-q", "-v", "ON_ERROR_STOP=1", url], input=dump.stdout, text=True, check=True)
    restored = psycopg2.connect(url)
    restored.autocommit = True
    try:
        for table in ("metrics_executions", "results", "crons", "fires", "retired_fires", "leader", "time_zones"):
            every_row = f"SELECT row::text FROM {table} AS row ORDER BY 1"
            assert fetch_all(restored, every_row) == fetch_all(db, every_row)
        assert dump_catalog(restored) == dump_catalog(db)
        with pytest.raises(CheckViolation, match="minute"):
            schedule(restored, MODEL, "61 * * * *")
        with pytest.raises(ForeignKeyViolation, match="CET"):
            schedule(restored, MODEL, zone="CET")
        with pytest.raises(CheckViolation):
            insert_label_row(restored, "[1]", "[]")
        schedule(restored, MODEL, " 1  1 * * *")
        assert (
            fetch_value(restored, "SELECT cron_expression FROM metrics_executions WHERE model_id = %s", MODEL)
            == "1 1 * * *"
        )
    finally:
        restored.close()
        execute(db, "DROP DATABASE restored")
