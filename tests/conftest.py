"""Fixtures of all tests: a real PostgreSQL and a real Redis, started once and emptied for each test."""

import secrets
from collections.abc import Iterator

import hypothesis
import psycopg2
import pytest
import redis

from devstack import redis as local_redis
from sql.apply import PASSWORD_VARIABLES
from tests.support.databases import Connection, Databases
from tests.support.postgres_servers import running_databases


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--fuzz", type=int, default=0, help="generate this many times more examples, new ones in each run")
    parser.addoption("--minutes", type=float, default=0, help="fuzz the API for so long, with new calls in each run")


def pytest_configure(config: pytest.Config) -> None:
    """Use the same examples in each run, except for make fuzz."""
    factor = config.getoption("fuzz")
    hypothesis.settings.register_profile(
        "cyclic-metrics", max_examples=100 * max(1, factor), derandomize=factor == 0, deadline=None, database=None
    )
    hypothesis.settings.load_profile("cyclic-metrics")


@pytest.fixture(scope="session")
def passwords() -> dict[str, str]:
    return {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}


@pytest.fixture(scope="session")
def databases(passwords: dict[str, str]) -> Iterator[Databases]:
    with running_databases(passwords) as databases:
        yield databases


@pytest.fixture
def database_url(databases: Databases) -> Iterator[str]:
    """URL of a database for the test alone, as its owner."""
    with databases.lend() as url:
        yield url


@pytest.fixture
def db(database_url: str) -> Iterator[Connection]:
    """Connection of the database owner, in autocommit mode."""
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
    """Client of an empty Redis."""
    with redis.Redis.from_url(redis_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def redis_url(redis_server: local_redis.Server, redis_client: redis.Redis) -> str:
    assert redis_client.dbsize() == 0
    return redis_server.url
