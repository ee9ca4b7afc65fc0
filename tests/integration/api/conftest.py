"""A test client of the API, with real PostgreSQL and Redis."""

import pytest
from flask.testing import FlaskClient

from api.main import create_app
from api.settings import Settings
from tests.support.databases import Databases
from tests.support.documented_client import DocumentedClient


@pytest.fixture
def client(databases: Databases, database_url: str, redis_url: str) -> FlaskClient:
    url = databases.url_as("metrics_api", database_url)
    app = create_app(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": redis_url}))
    app.test_client_class = DocumentedClient
    return app.test_client()
