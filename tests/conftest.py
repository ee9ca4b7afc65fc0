"""The servers that tests use: a real PostgreSQL and a real Redis, started once, emptied for each test."""

import secrets
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg2
import pytest
import redis

from devstack import postgres as local_postgres
from devstack import redis as local_redis
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support.databases import Connection, Databases

# What was committed outlives kill -9 of the server, though not of the machine.
FAST = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
OLDEST_POSTGRES = Path(
    "/usr/lib/postgresql/15/bin"
)  # where Debian has it; tests/integration/sql runs on it too if it is there


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=0, help="generate this many times more examples, new ones each time")
    parser.addoption("--minutes", type=float, default=0, help="try the API for so long, with new calls each time")


def pytest_configure(config: pytest.Config) -> None:
    """Give the ordinary suite the same examples each time; a search for new ones is make fuzz."""
    times = config.getoption("fuzz")
    hypothesis.settings.register_profile(
        "here", max_examples=250 * max(1, times), derandomize=times == 0, deadline=None, database=None
    )
    hypothesis.settings.load_profile("here")


@pytest.fixture(scope="session")
def passwords() -> dict[str, str]:
    return {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}


def run_databases(passwords: dict[str, str], binaries: Path | None = None) -> Iterator[Databases]:
    with local_postgres.running(binaries=binaries, settings=FAST) as server:
        apply(server.url, passwords=passwords, test_data=False)
        yield Databases(server, passwords)


@pytest.fixture(scope="session")
def databases(passwords: dict[str, str]) -> Iterator[Databases]:
    yield from run_databases(passwords)


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """A database of the test's own, as its owner."""
    with databases.lend() as url:
        yield url


@pytest.fixture
def db(database_url: str) -> Iterator[Connection]:
    """A connection of the owner, in autocommit mode."""
    connection = psycopg2.connect(database_url)
    connection.autocommit = True
    yield connection
    connection.close()


@pytest.fixture(scope="session")
def redis_server() -> Iterator[local_redis.Server]:
    with local_redis.running() as server:
        yield server


@pytest.fixture
def redis_client(redis_server: local_redis.Server) -> Iterator[redis.Redis]:
    """Redis, empty."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def redis_url(redis_server: local_redis.Server, redis_client: redis.Redis) -> str:
    assert redis_client.dbsize() == 0
    return redis_server.url
