"""Command that creates or upgrades a database: python -m sql.apply."""

import logging
import os
import sys
import time
from collections.abc import Mapping
from contextlib import closing

import psycopg2
from psycopg2 import sql
from psycopg2.errors import DeadlockDetected, LockNotAvailable
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import encrypt_password, parse_dsn

from sql.scripts import TEST_DATA, EditedMigration, Script, pending, scripts, unknown_migrations

log = logging.getLogger(__name__)

PASSWORD_VARIABLES = {
    "metrics_api": "METRICS_API_PASSWORD",
    "metrics_scheduler": "METRICS_SCHEDULER_PASSWORD",
    "metrics_worker": "METRICS_WORKER_PASSWORD",
    "metrics_client": "METRICS_CLIENT_PASSWORD",
}
ADVISORY_LOCK = 7236_3050  # any number that no other program of the database uses
LOCK_TIMEOUT = "1s"  # later statements of other sessions queue behind a script that waits for a lock
STATEMENT_TIMEOUT = "10min"  # building an index of a large table may take minutes
MAX_ATTEMPTS = 120
RETRY_DELAY = 1.0  # seconds

CREATE_SCHEMA_MIGRATIONS = """
    CREATE TABLE IF NOT EXISTS public.schema_migrations (
        name       text COLLATE "C" CONSTRAINT schema_migrations_pkey PRIMARY KEY,
        checksum   text NOT NULL,
        applied_at timestamptz NOT NULL DEFAULT now()
    );
    COMMENT ON TABLE public.schema_migrations IS
        'The scripts of sql/ that have run on this database. Written by python -m sql.apply only.';
    COMMENT ON COLUMN public.schema_migrations.name IS
        'Path of the script: migrations/ run once, repeatable/ again whenever their content has changed.';
    COMMENT ON COLUMN public.schema_migrations.checksum IS 'SHA-256 of its content, in hexadecimal.';
    COMMENT ON COLUMN public.schema_migrations.applied_at IS 'When it ran last.';
"""
HAS_SCHEMA_MIGRATIONS = "SELECT to_regclass('public.schema_migrations') IS NOT NULL"
APPLIED_SCRIPTS = "SELECT name, checksum FROM public.schema_migrations"
RECORD_SCRIPT = """
    INSERT INTO public.schema_migrations (name, checksum) VALUES (%(name)s, %(checksum)s)
    ON CONFLICT (name) DO UPDATE SET checksum = excluded.checksum, applied_at = excluded.applied_at
"""
IS_MANAGED_ROLE = """
    SELECT shobj_description(oid, 'pg_authid') LIKE 'Cyclic Metrics: %%'
    FROM pg_roles
    WHERE rolname = %(role)s
"""


class ApplyError(Exception):
    """The database is unavailable or rejects a script; the message is a single line with the reason."""


def apply(database_url: str, *, passwords: Mapping[str, str], test_data: bool) -> None:
    """Run the scripts that the database still needs, then set the roles' passwords.

    Each script is a transaction, recorded in schema_migrations; after a failure or kill -9, a second call continues
    with the script that was interrupted. A database that a newer version has upgraded is left as it is. The user of
    database_url owns the database, and is a superuser or has CREATEROLE. Roles that the scripts have not created keep
    their passwords. Raises ApplyError.
    """
    try:
        with closing(_connect(database_url)) as connection:
            # One process at a time; the server releases the lock when the connection ends, however it ends.
            _run(connection, "other runs", f"SELECT pg_advisory_lock({ADVISORY_LOCK:d})")
            _upgrade(connection, scripts())
            if test_data:
                _run(connection, TEST_DATA.name, TEST_DATA.read_text(encoding="utf-8"))
            for role, password in passwords.items():
                _set_password(connection, role, password)
    except EditedMigration as error:
        raise ApplyError(str(error)) from error
    except psycopg2.Error as error:
        raise ApplyError(f"the scripts of sql/ cannot be applied: {_one_line(error)}") from error


def _connect(database_url: str) -> Connection:
    if not _is_unambiguous(database_url):
        raise ApplyError(
            "DATABASE_URL cannot be read; write postgresql://role:password@host:port/database, @ as %40 and / as %2F"
        )
    connection = psycopg2.connect(database_url, connect_timeout=10, application_name="cyclic-metrics sql")
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT set_config('lock_timeout', %s, false)", (LOCK_TIMEOUT,))
        cursor.execute("SELECT set_config('statement_timeout', %s, false)", (STATEMENT_TIMEOUT,))
        cursor.execute("SET client_min_messages = warning")  # "already exists, skipping" is the normal case
        # A run that is killed while an index is built must not keep its locks until the index is complete.
        cursor.execute("SET client_connection_check_interval = '1s'")
    return connection


def _is_unambiguous(database_url: str) -> bool:
    """Return False if libpq would parse a part of the password as host or database, which its messages show."""
    try:
        address = parse_dsn(database_url)
    except psycopg2.ProgrammingError:
        return False
    return "@" not in address.get("host", "") + address.get("dbname", "")


def _upgrade(connection: Connection, available: list[Script]) -> None:
    applied = _applied_scripts(connection)
    if unknown := unknown_migrations(available, applied):
        log.warning("the database has been upgraded by a newer version (%s): left as it is", ", ".join(unknown))
        return
    for script in pending(available, applied):
        try:
            _run(connection, script.name, script.content, script)
        except psycopg2.Error as error:
            raise ApplyError(f"sql/{script.name} cannot be applied: {_one_line(error)}") from error
        log.info("applied sql/%s", script.name)
    log.info("the database is up to date")


def _one_line(error: psycopg2.Error) -> str:
    return " ".join(str(error).split())


def _applied_scripts(connection: Connection) -> dict[str, str]:
    """Return the checksums of the scripts that have run, by name."""
    with connection, connection.cursor() as cursor:
        cursor.execute(HAS_SCHEMA_MIGRATIONS)
        [(exists,)] = cursor.fetchall()
        if not exists:
            cursor.execute(CREATE_SCHEMA_MIGRATIONS)
        cursor.execute(APPLIED_SCRIPTS)
        return dict(cursor.fetchall())


def _run(connection: Connection, name: str, statements: str, recorded: Script | None = None) -> None:
    """Run statements in a transaction, together with the record; try again when locks of other sessions prevent it."""
    for attempt in range(1, MAX_ATTEMPTS + 1):
        try:
            with connection, connection.cursor() as cursor:
                cursor.execute(statements)
                if recorded:
                    cursor.execute(RECORD_SCRIPT, {"name": recorded.name, "checksum": recorded.checksum})
        except (LockNotAvailable, DeadlockDetected):
            if attempt == MAX_ATTEMPTS:
                raise
            log.warning("%s: waiting for a lock of another session (attempt %s of %s)", name, attempt, MAX_ATTEMPTS)
            time.sleep(RETRY_DELAY)
        else:
            return


def _set_password(connection: Connection, role: str, password: str) -> None:
    with connection, connection.cursor() as cursor:
        cursor.execute(IS_MANAGED_ROLE, {"role": role})
        row = cursor.fetchone()
        if row is None or not row[0]:
            log.warning("role %s was not created by sql/: password not changed", role)
            return
        # Hashed here, so that the plain password is never sent to the server and its log.
        verifier = encrypt_password(password, role, connection, "scram-sha-256")
        cursor.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(sql.Identifier(role), sql.Literal(verifier)))


def main(env: Mapping[str, str] = os.environ) -> None:
    """Apply the scripts to DATABASE_URL, with the passwords and TEST_DATA (true or false) of the environment."""
    logging.basicConfig(level="INFO", format="%(message)s", stream=sys.stdout)
    test_data = env.get("TEST_DATA", "false")
    if test_data not in {"true", "false"}:
        sys.exit(f'TEST_DATA is "{test_data}"; write true or false')
    if "DATABASE_URL" not in env:
        sys.exit("DATABASE_URL is not set; write the URL of the database's owner")
    passwords = {role: env[name] for role, name in PASSWORD_VARIABLES.items() if env.get(name)}
    try:
        apply(env["DATABASE_URL"], passwords=passwords, test_data=test_data == "true")
    except ApplyError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
