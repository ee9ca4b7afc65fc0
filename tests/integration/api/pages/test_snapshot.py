"""One look at the whole system for all pages that are rendered at the same time."""

import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from api.backends import REDIS_TIMEOUT, Backends
from api.pages import snapshot
from api.pages.snapshot import Looking
from api.settings import Settings
from tests.support.databases import Databases


@pytest.fixture
def silent() -> Iterator[str]:
    """A Redis that takes connections, and then says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"redis://127.0.0.1:{listening.getsockname()[1]}/0"


@pytest.mark.usefixtures("db")
def test_a_silent_redis_is_waited_for_once(
    databases: Databases, database_url: str, silent: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(snapshot, "FRESH", 1.0)
    url = databases.url_as("metrics_api", database_url)
    services, looking = Backends(Settings.from_env({"DATABASE_URL": url, "REDIS_URL": silent})), Looking()

    def look(_: int) -> snapshot.Whole:
        with services.database.autocommit() as statements:
            return looking.latest(services, statements)

    began = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(look, range(2)))

    assert time.monotonic() - began < 1.5 * REDIS_TIMEOUT
    assert found[0] is found[1]
    assert (found[0].queue, found[0].workers) == (None, None)
