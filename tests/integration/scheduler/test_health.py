"""The health check of a scheduler's container."""

from contextlib import closing

import pytest

from core import postgres
from core.leader_lock import APPLICATION_NAME
from scheduler import health
from tests.support.databases import Databases


@pytest.fixture
def url(databases: Databases, database_url: str) -> str:
    return databases.url_as("metrics_scheduler", database_url)


def test_a_scheduler_that_asks_postgresql_something_is_well(url: str) -> None:
    with closing(postgres.connect(url, f"{APPLICATION_NAME}this-host:7")) as database:
        assert health.problem(database, "this-host") is None


def test_a_scheduler_that_is_not_there_is_not(url: str) -> None:
    with closing(postgres.connect(url, f"{APPLICATION_NAME}other-host:7")) as database:
        assert health.problem(database, "this-host") == "no scheduler of this-host is connected to PostgreSQL"


def test_a_silent_scheduler_is_not(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health, "HEARTBEAT_TIMEOUT", 0)
    with (
        closing(postgres.connect(url, f"{APPLICATION_NAME}this-host:7")),
        closing(postgres.connect(url, "asks")) as database,
    ):
        assert "has asked PostgreSQL nothing for" in (health.problem(database, "this-host") or "")
