"""Health check of the scheduler's container."""

from contextlib import closing

import pytest

from core import postgres
from core.leader_lock import APPLICATION_NAME
from scheduler import health
from tests.support.databases import Databases


@pytest.fixture
def url(databases: Databases, database_url: str) -> str:
    return databases.url_as("metrics_scheduler", database_url)


def test_scheduler_that_queries_postgresql_is_healthy(url: str) -> None:
    with closing(postgres.connect(url, f"{APPLICATION_NAME}this-host:7")) as database:
        assert health.problem(database, "this-host") is None


def test_scheduler_without_a_session_is_unhealthy(url: str) -> None:
    with closing(postgres.connect(url, f"{APPLICATION_NAME}other-host:7")) as database:
        assert health.problem(database, "this-host") == "no scheduler of this-host is connected to PostgreSQL"


def test_scheduler_with_an_idle_session_is_unhealthy(url: str) -> None:
    with (
        closing(postgres.connect(url, f"{APPLICATION_NAME}this-host:7")),
        closing(postgres.connect(url, "health check")) as database,
    ):
        assert "has not queried PostgreSQL for" in (health.problem(database, "this-host", heartbeat_timeout=0.0) or "")
