"""Scheduler process during faults of PostgreSQL, Redis, the network and the scheduler itself."""

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
import redis

from core.queue.keys import QUEUE
from devstack import redis as local_redis
from devstack.services import SCHEDULER
from tests.support.celery_queue import drain_queue, drain_runs, published_messages, published_models
from tests.support.databases import (
    MODEL,
    Connection,
    Databases,
    execute,
    fetch_all,
    fetch_value,
    schedule,
    schedule_many,
    set_clock,
    wait_for,
)
from tests.support.processes import is_leader
from tests.support.proxy import Proxy
from tests.support.schedulers import (
    BEFORE_NOON,
    NOON,
    StartScheduler,
    leader_error,
    set_minute,
    start_standby,
    wait_for_cron_specs,
)

LATENCY = 0.03  # seconds
LOCKLESS_SCHEDULER = ["tests.support.lockless_scheduler"]
COUNT_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def slow_redis(redis_url: str) -> Iterator[Proxy]:
    """A proxy to Redis through which thousands of messages take seconds."""
    with Proxy(redis_url) as network:
        network.delay = LATENCY
        yield network


def test_leader_killed_while_it_waits_for_a_lock_is_replaced_at_once(
    db: Connection, database_url: str, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    leader = start_scheduler()
    standby = start_standby(db, leader, start_scheduler)
    with closing(psycopg2.connect(database_url)) as user:
        execute(user, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        wait_for(lambda: fetch_value(db, COUNT_WAITING) == 1)

        leader.kill()
        killed_at = time.monotonic()
        wait_for(lambda: is_leader(db, standby))
        assert time.monotonic() - killed_at < 2.0

    set_clock(db, NOON)
    wait_for(lambda: published_models(redis_client) == [MODEL])


def test_leader_cut_off_from_postgresql_is_replaced(
    databases: Databases, db: Connection, database_url: str, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    """Packets are lost, not refused: PostgreSQL does not notice that the leader is gone."""
    set_clock(db, BEFORE_NOON)
    schedule(db)
    with Proxy(databases.url_as("metrics_scheduler", database_url)) as network:
        leader = start_scheduler(DATABASE_URL=network.url)
        standby = start_standby(db, leader, start_scheduler)

        network.silence()
        silenced_at = time.monotonic()
        wait_for(lambda: is_leader(db, standby))
        assert time.monotonic() - silenced_at < 15.0

        set_clock(db, NOON)
        wait_for(lambda: published_models(redis_client) == [MODEL])
        network.resume()
        wait_for(lambda: "PostgreSQL" in leader.output)
        time.sleep(0.5)  # no further message must follow
        assert published_models(redis_client) == [MODEL]
        assert is_leader(db, standby)
        assert leader.popen.poll() is None


def test_leader_whose_session_is_terminated_leads_again_and_publishes_once(
    db: Connection, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    scheduler = start_scheduler()
    wait_for_cron_specs(db)

    execute(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%scheduler%'")
    set_clock(db, NOON)

    wait_for(lambda: published_models(redis_client) == [MODEL])
    assert scheduler.output.count("is the leader") == 2
    assert scheduler.popen.poll() is None


@pytest.mark.parametrize("victim", ["scheduler", "PostgreSQL", "the session"])
def test_crash_during_publication_loses_no_message(
    databases: Databases,
    db: Connection,
    start_scheduler: StartScheduler,
    redis_client: redis.Redis,
    slow_redis: Proxy,
    victim: str,
) -> None:
    """Publication starts again from the beginning; workers recognise repeated messages."""
    set_clock(db, BEFORE_NOON)
    schedule_many(db, 3000)
    scheduled_models = {model_id for (model_id,) in fetch_all(db, "SELECT model_id::text FROM metrics_executions")}
    scheduler = start_scheduler(BATCH_SIZE="1", REDIS_URL=slow_redis.url)
    wait_for_cron_specs(db)
    set_clock(db, NOON)
    wait_for(lambda: redis_client.llen(QUEUE) > 100)

    if victim == "scheduler":
        scheduler.kill()
    elif victim == "PostgreSQL":
        databases.server.process.kill()
    else:
        execute(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%scheduler%'")
    assert 100 < redis_client.llen(QUEUE) < 3000
    if victim == "scheduler":
        start_scheduler()
    elif victim == "PostgreSQL":
        wait_for(lambda: "PostgreSQL" in scheduler.output)
        databases.restart()

    wait_for(lambda: set(published_models(redis_client)) == scheduled_models)
    assert {message["due_at"] for message in published_messages(redis_client)} == {"2026-11-24T12:00:00.000+00:00"}


def test_clock_of_the_schedulers_host_does_not_matter(
    db: Connection, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    start_scheduler(["tests.support.shifted_clock", "3", *SCHEDULER])
    wait_for_cron_specs(db)
    assert published_messages(redis_client) == []

    set_clock(db, NOON)

    wait_for(lambda: fetch_value(db, "SELECT count(*) FROM fires"))  # recorded after its message is published
    assert published_models(redis_client) == [MODEL]
    assert fetch_value(db, "SELECT fired_at::text FROM fires") == NOON


def test_long_table_lock_ends_no_leadership_and_loses_no_due_time(
    db: Connection, database_url: str, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    scheduler = start_scheduler()
    wait_for_cron_specs(db)
    with closing(psycopg2.connect(database_url)) as user:
        execute(user, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        set_clock(db, NOON)
        reason = wait_for(lambda: leader_error(db))
        assert reason == "PostgreSQL: canceling statement due to lock timeout"
        assert published_messages(redis_client) == []

    wait_for(lambda: published_models(redis_client) == [MODEL], seconds=5)
    wait_for(lambda: fetch_value(db, "SELECT error FROM leader") is None)
    assert scheduler.output.count("is the leader") == 1


def test_open_transaction_of_a_client_does_not_delay_due_runs(
    db: Connection, database_url: str, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    start_scheduler()
    wait_for_cron_specs(db)
    with closing(psycopg2.connect(database_url)) as user:
        execute(user, "UPDATE metrics_executions SET cron_expression = '7 7 * * *'")  # not committed

        set_clock(db, NOON)
        wait_for(lambda: published_models(redis_client) == [MODEL])


def test_scheduler_waits_while_postgresql_has_no_free_connections(
    db: Connection, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    execute(db, "ALTER ROLE metrics_scheduler CONNECTION LIMIT 0")
    try:
        scheduler = start_scheduler()
        wait_for(lambda: "too many connections" in scheduler.output)
        set_clock(db, NOON)
    finally:
        execute(db, "ALTER ROLE metrics_scheduler CONNECTION LIMIT -1")

    wait_for(lambda: published_models(redis_client) == [MODEL], seconds=5)


@pytest.mark.parametrize("server", ["PostgreSQL", "Redis"])
def test_scheduler_publishes_the_latest_missed_due_time_within_5_seconds_after_an_outage(
    databases: Databases, db: Connection, database_url: str, start_scheduler: StartScheduler, server: str
) -> None:
    """Packets are lost for longer than the maximum backoff; several due times pass in the meantime."""
    set_clock(db, BEFORE_NOON)
    schedule(db)
    url = databases.url_as("metrics_scheduler", database_url)
    with (
        local_redis.running() as queue,
        redis.Redis.from_url(queue.url) as client,
        Proxy(url if server == "PostgreSQL" else queue.url) as network,
    ):
        variable = "DATABASE_URL" if server == "PostgreSQL" else "REDIS_URL"
        scheduler = start_scheduler(**({"REDIS_URL": queue.url} | {variable: network.url}))
        wait_for_cron_specs(db)
        network.cut()
        network.silence()
        wait_for(lambda: server in scheduler.output)
        for minute in ("12:00", "12:01", "12:02", "12:03"):
            set_minute(db, minute)
        time.sleep(3)  # several retries, each with its backoff
        assert published_messages(client) == []

        network.resume()
        wait_for(lambda: published_messages(client), seconds=5)

        # The fire is recorded after its message is published.
        wait_for(lambda: fetch_value(db, "SELECT count(*) FROM fires WHERE models > 0"))
        time.sleep(1)  # no further message must follow
        assert [message["due_at"] for message in drain_queue(client)] == ["2026-11-24T12:03:00.000+00:00"]
        assert fetch_all(db, "SELECT models, skipped FROM fires") == [(1, 3)]
        assert scheduler.popen.poll() is None


def test_slow_redis_only_delays_messages(
    databases: Databases, db: Connection, start_scheduler: StartScheduler, redis_client: redis.Redis, redis_url: str
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule_many(db, 50)
    with Proxy(redis_url) as network:
        start_scheduler(REDIS_URL=network.url, BATCH_SIZE="10")
        wait_for_cron_specs(db)
        network.delay = 0.1
        set_clock(db, NOON)

        wait_for(lambda: fetch_value(db, "SELECT count(*) FROM fires") == 1)
        assert len(published_models(redis_client)) == 50


def test_redis_restarted_during_publication_gets_all_messages(db: Connection, start_scheduler: StartScheduler) -> None:
    set_clock(db, BEFORE_NOON)
    schedule_many(db, 3000)
    scheduled_models = {model_id for (model_id,) in fetch_all(db, "SELECT model_id::text FROM metrics_executions")}
    with (
        local_redis.running() as server,
        redis.Redis.from_url(server.url) as client,
        Proxy(server.url) as network,
    ):
        network.delay = LATENCY
        start_scheduler(REDIS_URL=network.url, BATCH_SIZE="1")
        wait_for_cron_specs(db)
        set_clock(db, NOON)
        wait_for(lambda: client.llen(QUEUE) > 100)

        server.process.kill()
        server.process.start()
        wait_for(lambda: local_redis.is_ready(server.url))

        wait_for(lambda: set(published_models(client)) == scheduled_models)


def test_two_leaders_at_once_publish_every_due_time_and_skip_none(
    db: Connection, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    first = start_scheduler()
    wait_for(lambda: is_leader(db, first))
    second = start_scheduler(LOCKLESS_SCHEDULER)
    wait_for(lambda: is_leader(db, second))
    for minute in ("12:00", "12:01", "12:02"):
        set_minute(db, minute)
        wait_for(lambda minute=minute: fetch_value(db, f"SELECT next_due_at > '2026-11-24 {minute}+00' FROM crons"))  # type: ignore[misc]
    second.stop()
    set_minute(db, "12:03")

    wait_for(lambda: "T12:03" in str(published_messages(redis_client)))
    assert {minute for _, minute in drain_runs(redis_client)} == {"12:00", "12:01", "12:02", "12:03"}
    assert fetch_value(db, "SELECT sum(skipped) FROM fires") == 0


EDITS = """
    INSERT INTO metrics_executions (model_id, name, cron_expression)
        SELECT gen_random_uuid(), 'other', n % 60 || ' ' || n % 23 || ' 1 1 *' FROM generate_series(1, 2000) AS n;
    UPDATE metrics_executions SET timezone = 'Europe/Warsaw' WHERE name = 'other';
    UPDATE metrics_executions SET enabled = false WHERE name = 'other';
    UPDATE metrics_executions SET cron_expression = '* * * * *', enabled = true WHERE name = 'other';
    DELETE FROM metrics_executions WHERE name = 'other';
"""


def test_10_000_edits_during_publication_do_not_change_the_published_models(
    db: Connection, start_scheduler: StartScheduler, redis_client: redis.Redis, slow_redis: Proxy
) -> None:
    """Each edit is a transaction; the last one truncates the table, so that nothing runs at the next due time."""
    set_clock(db, BEFORE_NOON)
    schedule_many(db, 2000)
    scheduled_models = {model_id for (model_id,) in fetch_all(db, "SELECT model_id::text FROM metrics_executions")}
    start_scheduler(BATCH_SIZE="1", REDIS_URL=slow_redis.url)
    wait_for_cron_specs(db)
    set_clock(db, NOON)
    wait_for(lambda: redis_client.llen(QUEUE) > 10)

    slow_redis.delay = 1.0  # so slow that publication ends last on any machine
    for statement in EDITS.split(";")[:-1]:
        execute(db, statement)
    copy_schedules(db, 2000)
    assert redis_client.llen(QUEUE) < 2000
    slow_redis.delay = LATENCY
    execute(db, "TRUNCATE metrics_executions")

    wait_for(lambda: fetch_value(db, "SELECT count(*) FROM fires") == 1)
    assert sorted(published_models(redis_client)) == sorted(scheduled_models)
    set_minute(db, "12:01")
    wait_for(lambda: fetch_value(db, "SELECT min(next_due_at) > '2026-11-24 12:01+00' FROM crons"))
    assert redis_client.llen(QUEUE) == 2000


def copy_schedules(db: Connection, count: int) -> None:
    """Insert rows by COPY, from a file of the server: psycopg2 cannot copy with a wait callback."""
    path = f"{fetch_value(db, 'SHOW data_directory')}/models.tsv"
    models = f"SELECT gen_random_uuid(), '* * * * *' FROM generate_series(1, {count})"
    execute(db, f"COPY ({models}) TO '{path}'; COPY metrics_executions (model_id, cron_expression) FROM '{path}'")
