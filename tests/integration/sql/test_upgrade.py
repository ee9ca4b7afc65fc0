"""Upgrades of a database of an earlier version, beside running services."""

import threading
import time
import uuid
from datetime import timedelta

import psycopg2
import pytest
from psycopg2.errors import CheckViolation

from sql.apply import apply
from tests.support.catalog import dump_catalog
from tests.support.databases import (
    DEFAULT_TIMEOUT,
    MODEL,
    OTHER,
    Connection,
    Databases,
    execute,
    fetch_all,
    fetch_value,
    insert_label_row,
    schedule,
    wait_for,
)

OLD_INDEX = """
    CREATE INDEX metrics_executions_due ON metrics_executions (cron_expression, timezone)
        INCLUDE (model_id, active_since) WHERE enabled
"""
# The triggers and functions of the version before, as far as an upgrade has to replace or remove them.
PREVIOUS_FUNCTIONS = """
    CREATE OR REPLACE FUNCTION normal_cron(expression text) RETURNS text
    LANGUAGE sql IMMUTABLE RETURN lower(btrim(expression));
    CREATE OR REPLACE FUNCTION ahead_limit() RETURNS interval LANGUAGE sql IMMUTABLE RETURN interval '5 minutes';
    DROP FUNCTION latest_results(uuid[]);
    CREATE FUNCTION latest_results(model_ids uuid[])
    RETURNS TABLE (model_id uuid, id bigint, y_true json, y_pred json, "timestamp" timestamptz)
    LANGUAGE sql STABLE AS $$
        SELECT model_id, id, y_true, y_pred, "timestamp" FROM results WHERE model_id = ANY (model_ids)
    $$;
    CREATE FUNCTION cron_strange_item(
        item text, field_name text, low integer, high integer, names text[], OUT message text, OUT hint text)
    LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN message := 'not supported'; END $$;
    CREATE FUNCTION cron_field_problem(field text, place bigint, OUT message text, OUT hint text)
    LANGUAGE plpgsql IMMUTABLE AS $$
        BEGIN SELECT * INTO message, hint FROM cron_strange_item(field, 'minute', 0, 59, NULL); END
    $$;
    CREATE FUNCTION is_run_taken_over(model_id uuid, requested_at timestamptz) RETURNS boolean
    LANGUAGE sql VOLATILE SECURITY DEFINER AS 'SELECT false';
    CREATE FUNCTION normalise_schedule() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN NEW.cron_expression := normal_cron(NEW.cron_expression); RETURN NEW; END
    $$;
    CREATE FUNCTION check_and_announce() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        PERFORM check_schedules(array_agg(cron_expression), array_agg(timezone)) FROM new_rows;
        PERFORM pg_notify('metrics_executions', '{"pairs": null, "requested": false, "from": "the version before"}');
        RETURN NULL;
    END $$;
    CREATE TRIGGER normalise_schedule BEFORE INSERT OR UPDATE ON metrics_executions
        FOR EACH ROW EXECUTE FUNCTION normalise_schedule();
    CREATE TRIGGER check_and_announce_insert AFTER INSERT ON metrics_executions
        REFERENCING NEW TABLE AS new_rows FOR EACH STATEMENT EXECUTE FUNCTION check_and_announce();
    CREATE TRIGGER check_and_announce_update AFTER UPDATE ON metrics_executions
        REFERENCING OLD TABLE AS old_rows NEW TABLE AS new_rows
        FOR EACH STATEMENT EXECUTE FUNCTION check_and_announce();
"""
PREVIOUS_VERSION = (
    PREVIOUS_FUNCTIONS
    + """
    DROP FUNCTION normalize_schedule() CASCADE;
    DROP FUNCTION validate_and_notify() CASCADE;
    DROP FUNCTION newest_label_rows(uuid[]);
"""
)
# The scripts of the version before were applied again after those of this version.
PREVIOUS_VERSION_BESIDE_THIS_ONE = PREVIOUS_FUNCTIONS


def test_upgrade_that_waits_for_a_lock_does_not_block_writers_for_long(
    db: Connection, database_url: str, passwords: dict[str, str]
) -> None:
    """CREATE INDEX waits for an open transaction that has written the table; other clients keep writing."""
    execute(db, "DROP INDEX results_newest")
    busy = psycopg2.connect(database_url)
    insert_label_row(busy, "[1]", "[1]")
    upgrade = threading.Thread(target=apply, args=(database_url,), kwargs={"passwords": passwords, "test_data": False})

    upgrade.start()
    durations: list[float] = []

    def upgrade_has_waited() -> bool:
        started = time.monotonic()
        insert_label_row(db, "[1]", "[1]", OTHER)
        durations.append(time.monotonic() - started)
        return max(durations) > 0.5 and len(durations) >= 60

    wait_for(upgrade_has_waited)
    waited = upgrade.is_alive()
    busy.rollback()
    busy.close()
    upgrade.join(DEFAULT_TIMEOUT)

    assert waited
    assert max(durations) < 2.0  # LOCK_TIMEOUT is 1 s
    assert fetch_value(db, "SELECT to_regclass('results_newest') IS NOT NULL")


def test_earlier_version_is_upgraded(db: Connection, database_url: str, passwords: dict[str, str]) -> None:
    """A version in which fires had no lag, duration and totals, with another view and other indexes."""
    before = dump_catalog(db)
    [(view,)] = fetch_all(db, "SELECT pg_get_viewdef('schedule_status')")
    execute(db, "CREATE OR REPLACE VIEW schedule_status AS " + view.replace("late_after()", "'00:01'::interval"))
    execute(db, "DROP FUNCTION late_after")
    execute(db, "ALTER TABLE fires DROP lag, DROP duration")
    execute(
        db, "DROP INDEX metrics_executions_enabled, metrics_executions_paused, metrics_executions_zone, crons_error"
    )
    execute(db, OLD_INDEX)
    execute(db, "DROP TABLE retired_fires")
    execute(
        db, "INSERT INTO fires (due_at, fired_at, leader) VALUES ('2026-11-24 12:00+00', '2026-11-24 12:00:01+00', 'x')"
    )

    apply(database_url, passwords=passwords, test_data=False)

    assert dump_catalog(db) == before
    assert fetch_value(db, "SELECT lag FROM fires") == timedelta(seconds=1)


def test_functions_of_the_version_before_still_work(db: Connection, databases: Databases, database_url: str) -> None:
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


@pytest.mark.parametrize("previous", [PREVIOUS_VERSION, PREVIOUS_VERSION_BESIDE_THIS_ONE], ids=["before", "beside"])
def test_validation_triggers_are_replaced_without_a_gap(
    db: Connection, database_url: str, passwords: dict[str, str], previous: str
) -> None:
    """A client writes meanwhile: each valid schedule is announced exactly once, and no invalid one is accepted."""
    before = dump_catalog(db)
    execute(db, previous)
    client = psycopg2.connect(database_url)
    client.autocommit = True
    upgrade = threading.Thread(target=apply, args=(database_url,), kwargs={"passwords": passwords, "test_data": False})
    counts: list[int] = []

    upgrade.start()
    while upgrade.is_alive() or len(counts) < 100:
        with pytest.raises(CheckViolation, match="is refused"):
            schedule(client, OTHER, "61 * * * *")
        counts.append(notification_count(client, cron=f"{len(counts) % 60} * * * *"))
    client.close()
    upgrade.join()

    assert dump_catalog(db) == before
    in_transition = 2 if previous == PREVIOUS_VERSION_BESIDE_THIS_ONE else 1
    first_of_this_version = counts.index(1)
    assert counts == [in_transition] * first_of_this_version + [1] * (len(counts) - first_of_this_version)


def notification_count(client: Connection, cron: str) -> int:
    """Insert a schedule; return the number of notifications that the client gets of it."""
    client.notifies.clear()
    execute(client, "LISTEN metrics_executions")
    schedule(client, str(uuid.uuid4()), cron)
    execute(client, "SELECT 1")  # notifications of earlier transactions arrive before its response
    client.poll()
    return len(client.notifies)


def test_index_that_cannot_be_dropped_yet_does_not_roll_back_new_indexes(
    db: Connection, database_url: str, passwords: dict[str, str]
) -> None:
    """An open transaction has read the table."""
    execute(db, "DROP INDEX metrics_executions_enabled")
    execute(db, OLD_INDEX)
    reader = psycopg2.connect(database_url)
    fetch_all(reader, "SELECT FROM metrics_executions")
    upgrade = threading.Thread(target=apply, args=(database_url,), kwargs={"passwords": passwords, "test_data": False})

    upgrade.start()
    wait_for(lambda: fetch_value(db, "SELECT to_regclass('metrics_executions_enabled') IS NOT NULL"))
    waited = upgrade.is_alive()
    reader.rollback()
    reader.close()
    upgrade.join(DEFAULT_TIMEOUT)

    assert waited
    assert fetch_value(db, "SELECT to_regclass('metrics_executions_due') IS NULL")
