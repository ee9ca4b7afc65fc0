"""Fixtures: tests of the database run on the oldest and the newest supported PostgreSQL, if both are installed."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import pytest

from tests.support.databases import Connection, Databases
from tests.support.postgres_servers import OLDEST_POSTGRES, running_databases

VERSIONS = [None, OLDEST_POSTGRES] if OLDEST_POSTGRES.is_dir() else [None]


@pytest.fixture(scope="session", params=VERSIONS, ids=lambda binaries: "oldest" if binaries else "embedded")
def databases(request: pytest.FixtureRequest, passwords: dict[str, str]) -> Iterator[Databases]:
    binaries: Path | None = request.param
    with running_databases(passwords, binaries) as databases:
        yield databases


@pytest.fixture
def own_url(databases: Databases) -> Iterator[str]:
    """URL of a database that a test may change in any way."""
    with databases.own() as url:
        yield url


@pytest.fixture
def own_db(own_url: str) -> Iterator[Connection]:
    """Connection of its owner, in autocommit mode."""
    connection = psycopg2.connect(own_url)
    connection.autocommit = True
    yield connection
    connection.close()
