"""Privileges of the roles."""

import psycopg2
import pytest
from psycopg2.errors import CheckViolation, InsufficientPrivilege

from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    Databases,
    execute,
    fetch_all,
    fetch_value,
    insert_label_row,
    schedule,
)

PRIVILEGES = {
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


@pytest.mark.parametrize("role", PRIVILEGES)
def test_role_has_exactly_the_privileges_it_needs(db: Connection, role: str) -> None:
    tables_and_views = (
        "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'v')"
    )
    tables = [name for (name,) in fetch_all(db, tables_and_views)]
    allowed = {}
    for table in tables:
        privileges = [
            privilege[0]
            for privilege in ("SELECT", "INSERT", "UPDATE", "DELETE")
            if fetch_value(db, "SELECT has_table_privilege(%s, %s, %s)", role, f"public.{table}", privilege)
        ]
        allowed[table] = "".join(privileges)

    assert allowed.pop("time_zones") == "S"
    assert {table: privileges for table, privileges in allowed.items() if privileges} == PRIVILEGES[role]
    assert fetch_all(db, "SELECT rolsuper OR rolcreaterole OR rolcreatedb OR rolreplication OR rolbypassrls"
                    " FROM pg_roles WHERE rolname = %s", role) == [(False,)]  # fmt: skip


def test_scheduler_can_clear_run_requests_and_change_no_other_column(
    db: Connection, databases: Databases, database_url: str
) -> None:
    schedule(db)
    scheduler = psycopg2.connect(databases.url_as("metrics_scheduler", database_url))
    scheduler.autocommit = True

    execute(scheduler, "UPDATE metrics_executions SET run_requested_at = NULL")
    with pytest.raises(InsufficientPrivilege):
        execute(scheduler, "UPDATE metrics_executions SET enabled = false")
    scheduler.close()


def test_scheduler_can_find_and_delete_label_rows_and_not_read_labels(
    db: Connection, databases: Databases, database_url: str
) -> None:
    insert_label_row(db, "[1]", "[1]")
    scheduler = psycopg2.connect(databases.url_as("metrics_scheduler", database_url))
    scheduler.autocommit = True

    for statement in ("SELECT y_true FROM results", "UPDATE results SET timestamp = now()"):
        with pytest.raises(InsufficientPrivilege):
            execute(scheduler, statement)
    execute(scheduler, "DELETE FROM results WHERE model_id = %s", MODEL)
    scheduler.close()


def test_writes_of_the_client_role_are_validated(db: Connection, databases: Databases, database_url: str) -> None:
    client = psycopg2.connect(databases.url_as("metrics_client", database_url))
    client.autocommit = True

    schedule(client)
    insert_label_row(client, "[1]", "[1]")
    with pytest.raises(CheckViolation):
        schedule(client, OTHER, "61 * * * *")
    client.close()
