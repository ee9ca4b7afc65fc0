"""Upgrades of a database with data, beside running services of the version before."""

import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from psycopg2.errors import CheckViolation

from sql.apply import apply
from sql.scripts import FOLDER, MIGRATIONS
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
    run_baseline,
    schedule,
    wait_for,
)

BASELINE = (FOLDER / MIGRATIONS / "0001_baseline.sql").read_text()
NOTIFY_OF_THE_VERSION_BEFORE = """
    CREATE OR REPLACE FUNCTION validate_and_notify() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM check_schedules(array_agg(cron_expression), array_agg(timezone)) FROM new_rows;
        PERFORM pg_notify('metrics_executions', '{"pairs": null, "requested": false, "from": "the version before"}');
        RETURN NULL;
    END $$;
    UPDATE schema_migrations SET checksum = 'of the version before' WHERE name = 'repeatable/050_validation.sql';
"""


@pytest.fixture
def earlier_url(databases: Databases) -> Iterator[str]:
    """URL of a database that the last version without migrations has created."""
    with databases.empty() as url:
        run_baseline(url)
        yield url


@pytest.fixture
def earlier_db(earlier_url: str) -> Iterator[Connection]:
    connection = psycopg2.connect(earlier_url)
    connection.autocommit = True
    yield connection
    connection.close()


def start_upgrade(url: str, passwords: dict[str, str]) -> threading.Thread:
    thread = threading.Thread(target=apply, args=(url,), kwargs={"passwords": passwords, "test_data": False})
    thread.start()
    return thread


def test_database_without_migrations_is_upgraded_with_its_data(
    earlier_db: Connection, earlier_url: str, own_db: Connection, passwords: dict[str, str]
) -> None:
    schedule(earlier_db)
    insert_label_row(earlier_db, "[1]", "[1]")
    execute(earlier_db, "INSERT INTO fires (due_at, fired_at, leader) VALUES ('2026-11-24', '2026-11-24', 'x')")
    tables = ("metrics_executions", "results", "fires", "time_zones")
    before = [row for table in tables for row in rows_as_json(earlier_db, table)]

    apply(earlier_url, passwords=passwords, test_data=False)

    assert dump_catalog(earlier_db) == dump_catalog(own_db)
    after = [row for table in tables for row in rows_as_json(earlier_db, table)]
    assert [new | old for old, new in zip(before, after, strict=True)] == after
    records = "SELECT name, checksum FROM schema_migrations ORDER BY name"
    assert fetch_all(earlier_db, records) == fetch_all(own_db, records)


def rows_as_json(db: Connection, table: str) -> list[dict[str, Any]]:
    return [row for (row,) in fetch_all(db, f"SELECT to_jsonb(row) FROM {table} AS row ORDER BY 1")]


def test_baseline_on_its_own_database_changes_nothing_and_waits_for_no_transaction(
    earlier_db: Connection, earlier_url: str
) -> None:
    """An open transaction has read and written the tables, and holds the locks of VACUUM."""
    schedule(earlier_db)
    busy = psycopg2.connect(earlier_url)
    execute(busy, "UPDATE metrics_executions SET name = 'busy'")
    insert_label_row(busy, "[1]", "[1]", OTHER)
    execute(busy, "SELECT FROM schedule_status")
    execute(
        busy,
        "LOCK TABLE metrics_executions, results, crons, fires, retired_fires, leader, time_zones"
        " IN SHARE UPDATE EXCLUSIVE MODE",
    )
    before = dump_catalog(earlier_db)

    execute(earlier_db, "SET lock_timeout = '1s'")
    execute(earlier_db, BASELINE)

    assert dump_catalog(earlier_db) == before
    busy.close()


def test_invalid_rows_of_the_version_before_are_corrected(
    earlier_db: Connection, earlier_url: str, passwords: dict[str, str]
) -> None:
    with bypass_triggers(earlier_db):
        execute(
            earlier_db,
            "INSERT INTO metrics_executions (model_id, name, cron_expression, timezone)"
            " VALUES (%s, repeat('n', 300), 'R R * * *', 'Mars/Olympus')",
            MODEL,
        )
    execute(
        earlier_db,
        "INSERT INTO crons (cron_expression, timezone, next_due_at, error, tzdata_version) VALUES"
        " ('neither', 'UTC', NULL, NULL, 'x'), ('both', 'UTC', '2026-11-24', 'an error', 'x'),"
        " ('time', 'UTC', '2026-11-24', NULL, 'x'), ('error', 'UTC', NULL, 'an error', 'x')",
    )
    execute(
        earlier_db,
        "INSERT INTO fires (due_at, fired_at, finished_at, leader) VALUES"
        " ('2026-11-24 12:00Z', '2026-11-24 12:00:02Z', '2026-11-24 12:00:01Z', 'x'),"
        " ('2026-11-24 12:01Z', '2026-11-24 12:00:59Z', '2026-11-24 12:01:01Z', 'x'),"
        " ('2026-11-24 12:02Z', '2026-11-24 12:01:59Z', NULL, 'x'),"
        " ('2026-11-24 12:03Z', NULL, NULL, 'x')",
    )

    apply(earlier_url, passwords=passwords, test_data=False)

    assert fetch_value(earlier_db, "SELECT name FROM metrics_executions") == "n" * 200
    assert fetch_all(earlier_db, "SELECT cron_expression FROM crons ORDER BY 1") == [("error",), ("time",)]
    assert fetch_all(earlier_db, "SELECT lag::text, duration::text FROM fires ORDER BY due_at") == [
        ("00:00:02", "00:00:00"),
        ("00:00:00", "00:00:01"),
        ("00:00:00", None),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("statement", "constraint"),
    [
        ("INSERT INTO crons (cron_expression, timezone, tzdata_version) VALUES ('x', 'UTC', 'x')", "crons_check"),
        ("INSERT INTO crons VALUES ('x', 'UTC', '2026-11-24', NULL, 'an error', 'x')", "crons_check"),
        ("INSERT INTO fires (due_at, skipped, leader) VALUES ('2026-11-24', -1, 'x')", "fires_counts_check"),
        (
            "INSERT INTO fires (due_at, fired_at, leader) VALUES ('2026-11-24', '2026-11-23', 'x')",
            "fires_times_check",
        ),
        (
            "INSERT INTO metrics_executions (model_id, name, cron_expression)"
            " VALUES (gen_random_uuid(), repeat('n', 201), '@daily')",
            "metrics_executions_name_check",
        ),
    ],
)
def test_invalid_row_is_rejected_although_it_bypasses_the_triggers(
    db: Connection, statement: str, constraint: str
) -> None:
    with bypass_triggers(db), pytest.raises(CheckViolation) as raised:
        execute(db, statement)

    assert raised.value.diag.constraint_name == constraint


def test_upgrade_that_waits_for_a_lock_does_not_block_writers_for_long(
    earlier_db: Connection, earlier_url: str, passwords: dict[str, str]
) -> None:
    """An open transaction has read the table; other clients keep writing."""
    reader = psycopg2.connect(earlier_url)
    fetch_all(reader, "SELECT FROM metrics_executions")
    upgrade = start_upgrade(earlier_url, passwords)
    durations: list[float] = []

    def upgrade_has_waited() -> bool:
        started = time.monotonic()
        schedule(earlier_db, str(uuid.uuid4()))
        durations.append(time.monotonic() - started)
        return max(durations) > 0.5 and len(durations) >= 60

    wait_for(upgrade_has_waited)
    waited = upgrade.is_alive()
    reader.close()
    upgrade.join(DEFAULT_TIMEOUT)

    assert waited
    assert max(durations) < 2.0  # LOCK_TIMEOUT is 1 s
    assert fetch_value(earlier_db, "SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'c'")


def test_run_that_is_killed_while_it_waits_releases_its_locks(
    earlier_db: Connection, earlier_url: str, passwords: dict[str, str]
) -> None:
    """The connection of the first run ends while it waits for a reader; a second run then upgrades the database."""
    reader = psycopg2.connect(earlier_url)
    fetch_all(reader, "SELECT FROM metrics_executions")
    failures: list[BaseException] = []

    def run_until_killed() -> None:
        try:
            apply(earlier_url, passwords=passwords, test_data=False)
        except Exception as error:  # shown by the assertion below
            failures.append(error)

    killed = threading.Thread(target=run_until_killed)
    killed.start()
    wait_for(
        lambda: fetch_all(
            earlier_db,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'cyclic-metrics sql' AND wait_event_type = 'Lock'"
            " AND datname = current_database()",
        )
    )
    killed.join(DEFAULT_TIMEOUT)
    reader.close()

    apply(earlier_url, passwords=passwords, test_data=False)

    assert len(failures) == 1
    assert fetch_value(earlier_db, "SELECT bool_and(convalidated) FROM pg_constraint WHERE contype = 'c'")


def test_validation_trigger_is_replaced_without_a_gap(
    own_db: Connection, own_url: str, passwords: dict[str, str]
) -> None:
    """A client writes meanwhile: each valid schedule is announced exactly once, and no invalid one is accepted."""
    before = dump_catalog(own_db)
    execute(own_db, NOTIFY_OF_THE_VERSION_BEFORE)
    client = psycopg2.connect(own_url)
    client.autocommit = True
    upgrade = start_upgrade(own_url, passwords)
    payloads: list[list[str]] = []

    while upgrade.is_alive() or len(payloads) < 100:
        with pytest.raises(CheckViolation, match="is refused"):
            schedule(client, OTHER, "61 * * * *")
        payloads.append(notifications_of_an_insert(client, cron=f"{len(payloads) % 60} * * * *"))
    client.close()
    upgrade.join()

    assert dump_catalog(own_db) == before
    assert {len(received) for received in payloads} == {1}
    assert "the version before" not in payloads[-1][0]


def notifications_of_an_insert(client: Connection, cron: str) -> list[str]:
    """Insert a schedule; return the payloads of the notifications that the client gets of it."""
    client.notifies.clear()
    execute(client, "LISTEN metrics_executions")
    schedule(client, str(uuid.uuid4()), cron)
    execute(client, "SELECT 1")  # notifications of earlier transactions arrive before its response
    client.poll()
    return [notification.payload for notification in client.notifies]


def test_deprecated_functions_still_work(db: Connection, databases: Databases, database_url: str) -> None:
    """Called with the roles of the running services."""
    insert_label_row(db, "[1]", "[0]")
    queries = {
        "metrics_api": "SELECT normal_cron(' 0  9 * * MON'), '0 9 * * mon'",
        "metrics_scheduler": "SELECT ahead_limit(), max_clock_skew()",
        "metrics_worker": f"""
            SELECT old::text, new::text
            FROM latest_results('{{{MODEL}}}') AS old, newest_label_rows('{{{MODEL}}}') AS new
        """,
    }

    for role, query in queries.items():
        service = psycopg2.connect(databases.url_as(role, database_url))
        [(old, new)] = fetch_all(service, query)
        service.close()
        assert old == new, role
