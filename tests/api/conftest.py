"""The API inside the test, on real servers."""

import pytest
from flask.testing import FlaskClient

from api.main import create_app
from api.settings import Settings
from tests.databases import Databases


@pytest.fixture
def client(databases: Databases, database_url: str, redis_url: str) -> FlaskClient:
    url = databases.url_as("metrics_api", database_url)
    return create_app(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": redis_url})).test_client()
