"""The log of fires goes back for some time; its sums stay."""

from collections.abc import Iterator

import pytest
import redis

from core import postgres
from scheduler.queue import Broker
from scheduler.settings import Settings
from scheduler.tasks.due_runs import Fires
from scheduler.tasks.redis_recovery import Forgotten
from tests.integration.scheduler.conftest import NOON, SETTINGS
from tests.support.databases import Connection, Databases, one, rows, run, set_clock

LOG = """
    INSERT INTO fires (due_at, fired_at, finished_at, models, messages, skipped, leader)
    SELECT due_at, CASE WHEN sent THEN due_at END, CASE WHEN sent THEN due_at END, 100, 2, 3, 'x'
    FROM (SELECT schedule_now() - make_interval(mins => n) AS due_at, n %% 2 = 0 AS sent
          FROM generate_series(1, %s) AS n) AS moment
"""
TOTALS = """
    SELECT retired.fires + (SELECT count(fired_at) FROM fires),
           (retired.models, retired.messages, retired.skipped)::text
    FROM retired_fires AS retired
"""


@pytest.fixture
def fires(databases: Databases, database_url: str, redis_url: str, redis_client: redis.Redis) -> Iterator[Fires]:
    """The log as its owner keeps it, for one day."""
    env = {"DATABASE_URL": databases.url_as("metrics_scheduler", database_url), "REDIS_URL": redis_url}
    settings = Settings.from_env(SETTINGS | env | {"FIRES_RETENTION": "1"})
    database = postgres.connect(settings.database_url, "tests")
    broker = Broker(redis_client)
    yield Fires(database, broker, Forgotten(database, broker, settings), settings, "tests")
    database.close()


def test_old_records_go_in_portions_and_their_sums_stay(db: Connection, fires: Fires) -> None:
    set_clock(db, NOON)
    run(db, LOG, 4000)  # 2,560 of them are older than a day

    found = [rows(db, TOTALS)[0]]
    for _ in range(4):
        fires.retire_old()
        found += rows(db, TOTALS)

    assert found == [
        (2000, "(0,0,0)"),
        (2000, "(100000,2000,3000)"),
        (2000, "(200000,4000,6000)"),
        (2000, "(256000,5120,7680)"),
        (2000, "(256000,5120,7680)"),
    ]
    assert one(db, "SELECT min(due_at) = schedule_now() - interval '1 day' FROM fires")


def test_where_nothing_is_old_nothing_is_written(db: Connection, fires: Fires) -> None:
    set_clock(db, NOON)
    run(db, LOG, 10)
    before = one(db, "SELECT xmin::text FROM retired_fires")

    fires.retire_old()

    assert one(db, "SELECT xmin::text FROM retired_fires") == before
    assert one(db, "SELECT count(*) FROM fires") == 10
