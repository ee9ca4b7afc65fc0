"""sql/apply.py: repeated, concurrent, interrupted and failing runs, and dumps of the result."""

import os
import subprocess
import sys
import threading

import psycopg2
import pytest
from psycopg2.errors import CheckViolation, ForeignKeyViolation

from devstack.cluster import embedded_binaries
from devstack.ports import free_port
from sql.apply import ApplyError, apply
from sql.scripts import scripts
from tests.support.catalog import dump_catalog
from tests.support.databases import (
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
    before = dump_catalog(db), fetch_all(db, "SELECT * FROM schema_migrations")
    busy = psycopg2.connect(database_url)
    execute(busy, "LOCK TABLE metrics_executions, results, crons, fires, leader, schema_migrations IN EXCLUSIVE MODE")

    apply(database_url, passwords=passwords, test_data=False)

    busy.close()
    assert (dump_catalog(db), fetch_all(db, "SELECT * FROM schema_migrations")) == before


def test_scripts_that_have_run_are_recorded(db: Connection) -> None:
    recorded = fetch_all(db, "SELECT name, checksum FROM schema_migrations ORDER BY name")

    assert recorded == [(script.name, script.checksum) for script in scripts()]


def test_edited_migration_is_rejected_before_anything_is_applied(
    own_db: Connection, own_url: str, passwords: dict[str, str]
) -> None:
    edit(own_db, "migrations/0003_fires_check.sql")
    edit(own_db, "repeatable/025_clock.sql")
    execute(own_db, "COMMENT ON FUNCTION schedule_now() IS 'as it was'")

    with pytest.raises(ApplyError, match=r"^sql/migrations/0003_fires_check.sql was edited after it ran on this "):
        apply(own_url, passwords=passwords, test_data=False)

    assert fetch_value(own_db, "SELECT obj_description('schedule_now()'::regprocedure)") == "as it was"


def test_script_that_fails_is_named(own_db: Connection, own_url: str, passwords: dict[str, str]) -> None:
    execute(own_db, "DELETE FROM schema_migrations WHERE name = 'migrations/0002_crons_check.sql'")
    message = '^sql/migrations/0002_crons_check.sql cannot be applied: constraint "crons_check" .* already exists$'

    with pytest.raises(ApplyError, match=message):
        apply(own_url, passwords=passwords, test_data=False)


def test_only_the_edited_repeatable_script_runs_again(
    own_db: Connection, own_url: str, passwords: dict[str, str]
) -> None:
    before = dump_catalog(own_db)
    edit(own_db, "repeatable/060_views.sql")
    execute(own_db, "COMMENT ON VIEW schedule_status IS 'as it was'; ALTER FUNCTION late_after() STABLE")
    earlier = dict(fetch_all(own_db, "SELECT name, applied_at FROM schema_migrations"))

    apply(own_url, passwords=passwords, test_data=False)

    later = dict(fetch_all(own_db, "SELECT name, applied_at FROM schema_migrations"))
    assert dump_catalog(own_db) == before
    assert [name for name in later if later[name] > earlier[name]] == ["repeatable/060_views.sql"]


def test_database_of_a_newer_version_is_left_as_it_is(
    own_db: Connection, own_url: str, passwords: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    execute(own_db, "INSERT INTO schema_migrations (name, checksum) VALUES ('migrations/9999_new.sql', 'x')")
    edit(own_db, "repeatable/060_views.sql")
    execute(own_db, "COMMENT ON VIEW schedule_status IS 'of the newer version'")

    apply(own_url, passwords=passwords, test_data=False)

    assert fetch_value(own_db, "SELECT obj_description('schedule_status'::regclass)") == "of the newer version"
    message = "the database has been upgraded by a newer version (migrations/9999_new.sql): left as it is"
    assert message in caplog.messages


def test_run_that_is_killed_after_each_script_is_continued(
    databases: Databases, db: Connection, passwords: dict[str, str]
) -> None:
    """kill -9 as soon as one more script is applied: while the next one runs."""
    env = {**os.environ, "TEST_DATA": "true"}
    runs = 0
    with databases.empty() as url:
        while kill_after_a_script({**env, "DATABASE_URL": url}):
            runs += 1
        apply(url, passwords=passwords, test_data=True)
        connection = psycopg2.connect(url)
        catalog, label_rows = dump_catalog(connection), fetch_value(connection, "SELECT count(*) FROM results")
        connection.close()

    assert runs >= 5  # the server may finish some scripts before it notices
    assert catalog == dump_catalog(db)
    assert label_rows == 40


def kill_after_a_script(env: dict[str, str]) -> bool:
    """Start a run, and kill it when it has applied a script; False if it ends by itself."""
    process = subprocess.Popen([sys.executable, "-u", "-m", "sql.apply"], env=env, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    with process:
        for line in process.stdout:
            if line.startswith("applied sql/"):
                process.kill()
                return True
    assert process.returncode == 0
    return False


def edit(db: Connection, name: str) -> None:
    """Make the record of a script that of another content."""
    execute(db, "UPDATE schema_migrations SET checksum = 'x' WHERE name = %s", name)


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


def test_concurrent_runs_are_serialized(databases: Databases, passwords: dict[str, str]) -> None:
    """Two runs on an empty database, as by two containers that start together."""
    errors: list[BaseException] = []

    def apply_once() -> None:
        try:
            apply(url, passwords=passwords, test_data=True)
        except BaseException as error:  # shown by the assertion below
            errors.append(error)

    threads = [threading.Thread(target=apply_once) for _ in range(2)]
    with databases.empty() as url:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        connection = psycopg2.connect(url)
        count = fetch_value(connection, "SELECT count(*) FROM results")
        connection.close()

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
        for table in (
            "metrics_executions",
            "results",
            "crons",
            "fires",
            "retired_fires",
            "leader",
            "time_zones",
            "schema_migrations",
        ):
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
