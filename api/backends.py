"""The application's settings and its connections to PostgreSQL and Redis."""

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


class Backends:
    """Settings, database, Redis client and result store of an application."""

    def __init__(self, settings: Settings) -> None:
        """Connect lazily: the API starts, and reports errors, while its backends are unavailable."""
        self.settings = settings
        self.database = Database(settings.database_url)
        self._threads = threading.local()

    @property
    def redis(self) -> redis.Redis:
        """The client of the current thread; raises RedisError where Redis is unavailable."""
        client: redis.Redis | None = getattr(self._threads, "redis", None)
        if client is None:
            client = self._threads.redis = create_client(
                self.settings.redis_url, timeout=REDIS_TIMEOUT, single_connection=True
            )
        return client

    @property
    def results(self) -> ResultStore:
        """The result store of the current thread; raises RedisError where Redis is unavailable."""
        store: ResultStore | None = getattr(self._threads, "results", None)
        if store is None:
            store = self._threads.results = ResultStore(self.redis)
        return store


def backends() -> Backends:
    """Return the backends of the application that handles the request."""
    return cast("Backends", current_app.extensions[EXTENSION])
