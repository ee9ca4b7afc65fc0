"""What the API was started with, as the views reach it."""

import threading
from typing import cast

import redis
from flask import current_app

from api.database import Database
from api.settings import Settings
from core.redis import create_client
from core.results.repository import ResultStore

EXTENSION = "cyclic-metrics"
REDIS_TIMEOUT = 2  # seconds


class Services:
    """PostgreSQL, Redis, the results in it, and the settings."""

    def __init__(self, settings: Settings) -> None:
        """Connect to nothing yet: the API starts, and says what is wrong, without its servers."""
        self.settings = settings
        self.database = Database(settings.database_url)
        self._threads = threading.local()

    @property
    def redis(self) -> redis.Redis:
        """The thread's connection; raises RedisError where there is no Redis to connect to."""
        client: redis.Redis | None = getattr(self._threads, "redis", None)
        if client is None:
            client = self._threads.redis = create_client(
                self.settings.redis_url, timeout=REDIS_TIMEOUT, single_connection=True
            )
        return client

    @property
    def results(self) -> ResultStore:
        """The results, by the thread's connection; raises RedisError as redis does."""
        found: ResultStore | None = getattr(self._threads, "results", None)
        if found is None:
            found = self._threads.results = ResultStore(self.redis)
        return found


def services() -> Services:
    """Return those of the application that handles the request."""
    return cast("Services", current_app.extensions[EXTENSION])
