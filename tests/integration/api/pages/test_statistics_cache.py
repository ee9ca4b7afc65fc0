"""Statistics are counted in the background, once a minute for all clients."""

import time

import pytest

from api.pages.statistics_cache import StatisticsCache
from api.settings import Settings
from tests.support.databases import DEFAULT_TIMEOUT, Connection, Databases, schedule_many, wait_for
from tests.support.proxy import Proxy


@pytest.fixture
def api_url(databases: Databases, database_url: str, db: Connection) -> str:
    return databases.url_as("metrics_api", database_url)


def settings(api_url: str, redis_url: str) -> Settings:
    return Settings.from_env({"DATABASE_URL": api_url, "REDIS_URL": redis_url})


def get_total(cache: StatisticsCache, timeout: float = 0.0) -> int:
    """Return the number of schedules; -1 without statistics."""
    counts = cache.get(timeout)
    return counts.total if counts else -1


def test_schedules_are_counted_once_a_minute_for_all_clients(api_url: str, redis_url: str, db: Connection) -> None:
    cache = StatisticsCache(settings(api_url, redis_url))
    schedule_many(db, 3)

    first = [cache.get(DEFAULT_TIMEOUT) for _ in range(5)]
    schedule_many(db, 1)
    second = cache.get(DEFAULT_TIMEOUT)

    assert {counts and counts.total for counts in first} == {3}
    assert second is first[0]


def test_schedules_are_counted_again_after_the_refresh_interval(api_url: str, redis_url: str, db: Connection) -> None:
    cache = StatisticsCache(settings(api_url, redis_url), refresh_interval=0.05)
    assert get_total(cache, DEFAULT_TIMEOUT) == 0

    schedule_many(db, 3)

    wait_for(lambda: get_total(cache) == 3)


def test_failed_count_is_retried_and_returns_none(api_url: str, redis_url: str) -> None:
    with Proxy(redis_url) as network:
        network.refuse()
        cache = StatisticsCache(settings(api_url, network.url), refresh_interval=0.05)
        assert cache.get(0.2) is None

        network.resume()

        wait_for(lambda: get_total(cache) == 0)


def test_old_statistics_are_not_returned(api_url: str, redis_url: str, db: Connection) -> None:
    """No page was open for a while, or counting fails."""
    with Proxy(redis_url) as network:
        cache = StatisticsCache(settings(api_url, network.url), refresh_interval=0.05, max_age=0.1)
        assert get_total(cache, DEFAULT_TIMEOUT) == 0
        schedule_many(db, 3)
        time.sleep(0.2)  # the statistics are too old now

        assert get_total(cache, DEFAULT_TIMEOUT) == 3

        network.refuse()
        wait_for(lambda: cache.get(0.0) is None)
