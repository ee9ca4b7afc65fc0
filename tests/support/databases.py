"""Databases for tests, and helpers that read and write them."""

import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar
from urllib.parse import urlsplit, urlunsplit

import psycopg2
from psycopg2 import sql
from psycopg2.extensions import connection

from devstack.postgres import Server, wait_for_start
from devstack.services import url_as
from sql.scripts import FOLDER, MIGRATIONS

T = TypeVar("T")
Connection = connection

DEFAULT_TIMEOUT = 100.0  # seconds; generous, since processes may take half a minute to start under load

MIN_POLL_INTERVAL, MAX_POLL_INTERVAL = 0.002, 0.05  # seconds

MODEL = "550e8400-e29b-41d4-a716-446655440000"
OTHER = "0b4e1b1e-6f57-4c3a-9d0f-8f1f6a2f7c11"

RESET = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE datname = current_database() AND pid <> pg_backend_pid();
    DELETE FROM metrics_executions; DELETE FROM results; DELETE FROM crons; DELETE FROM fires;
    DELETE FROM run_requests;
    UPDATE retired_fires SET fires = 0, models = 0, messages = 0, skipped = 0;
    UPDATE leader SET name = NULL, since = NULL, looked_at = NULL, error = NULL;
    SELECT setval(pg_get_serial_sequence("table", 'id'), 1, false)
    FROM unnest(ARRAY['metrics_executions', 'results']) AS "table";
    CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
        RETURN clock_timestamp();
"""


class Databases:
    """Pool of copies of a database with sql/ applied; a test uses a copy exclusively."""

    def __init__(self, server: Server, passwords: dict[str, str]) -> None:
        self.server = server
        self.template_url = server.url
        self._template = urlsplit(server.url).path.lstrip("/")
        self._passwords = passwords
        self._free: list[str] = []
        self._sessions: dict[str, Connection] = {}  # those that reset the databases

    @contextmanager
    def lend(self) -> Iterator[str]:
        url = self._free.pop() if self._free else self._copy(self._template)
        yield url
        self._reset(url)
        self._free.append(url)

    def _reset(self, url: str) -> None:
        session = self._sessions.get(url)
        if session is None:
            session = self._sessions[url] = psycopg2.connect(url)
            session.autocommit = True
        try:
            execute(session, RESET)
        except psycopg2.OperationalError:  # the test has restarted the server
            del self._sessions[url]
            self._reset(url)

    def restart(self) -> None:
        """Restart the server after a test has killed it."""
        self.server.process.start()
        wait_for_start(self.server.process, self.server.url)

    @contextmanager
    def empty(self) -> Iterator[str]:
        """Create a database without sql/, and drop it afterwards."""
        with self._temporary("template0") as url:
            yield url

    @contextmanager
    def own(self) -> Iterator[str]:
        """Create a database for a test that changes more than rows, and drop it afterwards."""
        with self._temporary(self._template) as url:
            yield url

    @contextmanager
    def _temporary(self, template: str) -> Iterator[str]:
        url = self._copy(template)
        yield url
        self._execute_as_admin("DROP DATABASE {} WITH (FORCE)", urlsplit(url).path.lstrip("/"))

    def _copy(self, template: str) -> str:
        name = f"test_{uuid.uuid4().hex}"
        self._execute_as_admin("CREATE DATABASE {} TEMPLATE {}", name, template)
        return replace_database(self.template_url, name)

    def _execute_as_admin(self, statement: str, *names: str) -> None:
        admin = psycopg2.connect(replace_database(self.template_url, "postgres"))
        admin.autocommit = True
        with admin.cursor() as cursor:
            cursor.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))
        admin.close()

    def url_as(self, role: str, owner_url: str) -> str:
        """Return the URL for a role of the services."""
        return url_as(owner_url, role, self._passwords[role])


def replace_database(url: str, name: str) -> str:
    return urlunsplit(urlsplit(url)._replace(path=f"/{name}"))


def run_baseline(url: str) -> None:
    """Run the scripts of the last version without migrations, as that version did."""
    connection = psycopg2.connect(url)
    with connection:
        execute(connection, (FOLDER / MIGRATIONS / "0001_baseline.sql").read_text())
    connection.close()


def execute(db: Connection, statement: str, *values: Any) -> None:
    """Execute a statement with values for %s, or with one mapping for %(name)s."""
    with db.cursor() as cursor:
        cursor.execute(statement, values[0] if values and isinstance(values[0], dict) else values or None)


@contextmanager
def bypass_triggers(db: Connection) -> Iterator[None]:
    """Write values that the validation trigger would reject or replace."""
    execute(db, "SET session_replication_role = replica")
    yield
    execute(db, "SET session_replication_role = origin")


def fetch_all(db: Connection, query: str, *values: Any) -> list[tuple[Any, ...]]:
    with db.cursor() as cursor:
        cursor.execute(query, values or None)
        return cursor.fetchall()


def fetch_value(db: Connection, query: str, *values: Any) -> Any:
    """Return the only value of the only row."""
    [(value,)] = fetch_all(db, query, *values)
    return value


def set_clock(db: Connection, now: str) -> None:
    """Stop the clock of the system at this time, and notify the scheduler."""
    execute(
        db,
        "CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE"
        f" RETURN '{now}'::timestamptz",
    )
    execute(db, "NOTIFY metrics_executions")


def schedule(db: Connection, model_id: str = MODEL, cron: str = "* * * * *", zone: str = "UTC") -> None:
    execute(
        db,
        "INSERT INTO metrics_executions (model_id, cron_expression, timezone) VALUES (%s, %s, %s)",
        model_id, cron, zone,
    )  # fmt: skip


def schedule_many(db: Connection, count: int, cron: str = "* * * * *") -> None:
    execute(
        db,
        "INSERT INTO metrics_executions (model_id, cron_expression)"
        " SELECT gen_random_uuid(), %s FROM generate_series(1, %s)",
        cron, count,
    )  # fmt: skip


def insert_label_row(db: Connection, y_true: str, y_pred: str, model_id: str = MODEL) -> int:
    """Insert a label row, with labels as JSON, at the current time of schedule_now(); return its id."""
    statement = (
        "INSERT INTO results (model_id, y_true, y_pred, timestamp) VALUES (%s, %s, %s, schedule_now()) RETURNING id"
    )
    row_id: int = fetch_value(db, statement, model_id, y_true, y_pred)
    return row_id


def newest_label_rows(db: Connection, *model_ids: str) -> list[tuple[str, int]]:
    """Return model and id of the newest label rows, by id."""
    return fetch_all(db, "SELECT model_id::text, id FROM newest_label_rows(%s::uuid[]) ORDER BY id", list(model_ids))


def wait_for(condition: Callable[[], T], seconds: float = DEFAULT_TIMEOUT) -> T:
    """Call until the result is true, and return it.

    The longer it has waited, the longer are the intervals: what is waited for needs the processor too.
    """
    started_at = time.monotonic()
    while not (result := condition()):
        waited = time.monotonic() - started_at
        assert waited < seconds, f"condition not met within {seconds} s"
        time.sleep(min(max(MIN_POLL_INTERVAL, waited / 20), MAX_POLL_INTERVAL))
    return result


def model_ids(count: int) -> Sequence[str]:
    return [str(uuid.UUID(int=number)) for number in range(1, count + 1)]
