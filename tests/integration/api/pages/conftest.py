"""Fixtures of the pages."""

import pytest
from flask.testing import FlaskClient

from api.pages.response import SNAPSHOT_CACHE
from api.pages.snapshot import SnapshotCache
from tests.support.databases import Connection, execute, set_clock


@pytest.fixture
def _before_noon(db: Connection, client: FlaskClient) -> None:
    """Stop the clock half a minute before noon, with a leader; read a snapshot for each page."""
    client.application.extensions[SNAPSHOT_CACHE] = SnapshotCache(ttl=0.0)
    set_clock(db, "2026-11-24 11:59:30+00")
    execute(db, "UPDATE leader SET name = 'host:1', since = schedule_now(), looked_at = schedule_now()")
