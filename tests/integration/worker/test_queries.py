"""Queries for label rows."""

from core import postgres
from tests.support.databases import MODEL, OTHER, Connection, Databases, execute
from tests.support.workers import insert_models
from worker import queries

BREAK_SERVER = """
    CREATE OR REPLACE FUNCTION public.max_clock_skew() RETURNS interval LANGUAGE plpgsql VOLATILE
    AS $$ BEGIN RETURN interval '5 minutes' / (random() < 0)::integer; END $$
"""
RESTORE_SERVER = """
    CREATE OR REPLACE FUNCTION public.max_clock_skew() RETURNS interval LANGUAGE sql IMMUTABLE PARALLEL SAFE
        RETURN interval '5 minutes'
"""


def test_server_is_tested_with_other_label_rows_or_without_any(
    databases: Databases, db: Connection, database_url: str
) -> None:
    session = postgres.connect(databases.url_as("metrics_worker", database_url), "tests")
    assert queries.other_rows_are_readable(session, [MODEL])
    insert_models(db, [MODEL])
    assert queries.other_rows_are_readable(session, [MODEL])
    insert_models(db, [OTHER])
    assert queries.other_rows_are_readable(session, [MODEL])
    execute(db, BREAK_SERVER)
    try:
        assert not queries.other_rows_are_readable(session, [MODEL])
        assert not queries.other_rows_are_readable(session, [MODEL, OTHER])
    finally:
        execute(db, RESTORE_SERVER)
        session.close()
