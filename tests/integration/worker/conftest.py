"""Fixtures of workers as processes."""

import pytest
import redis

from scheduler.queue import Queue
from tests.support.databases import Databases


@pytest.fixture
def env(databases: Databases, database_url: str, redis_url: str) -> dict[str, str]:
    """Environment variables of a worker."""
    return {"DATABASE_URL": databases.url_as("metrics_worker", database_url), "REDIS_URL": redis_url}


@pytest.fixture
def queue(redis_client: redis.Redis) -> Queue:
    return Queue(redis_client)
