"""A test client of the API, with real PostgreSQL and Redis."""

import pytest
from flask.testing import FlaskClient

from api.main import create_app
from api.settings import Settings
from tests.support.databases import Databases
from tests.support.documented_client import DocumentedClient


@pytest.fixture
def env(databases: Databases, database_url: str, redis_url: str) -> dict[str, str]:
    """Environment variables of an API process."""
    return {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}


@pytest.fixture
def client(env: dict[str, str]) -> FlaskClient:
    app = create_app(Settings.from_env(env))
    app.test_client_class = DocumentedClient
    return app.test_client()
