"""One snapshot of the system for all pages that are rendered at the same time."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.backends import REDIS_TIMEOUT, Backends
from api.pages.snapshot import SnapshotCache, SystemView
from api.settings import Settings
from tests.support.databases import Databases


@pytest.fixture
def silent_redis_url() -> Iterator[str]:
    """URL of a server that accepts connections and never replies."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield f"redis://127.0.0.1:{listener.getsockname()[1]}/0"


@pytest.mark.usefixtures("db")
def test_concurrent_requests_share_one_redis_timeout(
    databases: Databases, database_url: str, silent_redis_url: str
) -> None:
    url = databases.url_as("metrics_api", database_url)
    backends = Backends(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": silent_redis_url}))
    cache = SnapshotCache(ttl=1.0)

    def get(_: int) -> SystemView:
        with backends.database.autocommit() as cur:
            return cache.get(backends, cur)

    started_at = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(get, range(2))

    assert time.monotonic() - started_at < 1.5 * REDIS_TIMEOUT
    assert first is second
    assert (first.queue, first.workers) == (None, None)
