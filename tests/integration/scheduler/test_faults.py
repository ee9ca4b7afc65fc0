"""The scheduler as a process, when it, PostgreSQL or the network fails."""

import time
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
import redis

from core import postgres
from core.queue.keys import QUEUE
from devstack import redis as local_redis
from devstack.services import SCHEDULER
from tests.integration.scheduler.conftest import BEFORE, NOON, Run, with_standby
from tests.support.celery_queue import drain_queue, published_messages
from tests.support.databases import (
    MODEL,
    Connection,
    Databases,
    one,
    rows,
    run,
    schedule,
    schedule_many,
    set_clock,
    wait_for,
)
from tests.support.processes import is_leader
from tests.support.proxy import Proxy

SLOW = 0.03  # seconds
FORCED = ["tests.support.lockless_scheduler"]
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"


@pytest.fixture
def slow_redis(redis_url: str) -> Iterator[Proxy]:
    """A way to Redis on which thousands of messages take seconds."""
    with Proxy(redis_url) as network:
        network.delay = SLOW
        yield network


def models_sent(client: redis.Redis) -> list[str]:
    return [model_id for message in published_messages(client) for model_id in message["model_ids"]]


def test_a_leader_that_is_killed_while_it_waits_for_a_lock_is_replaced_at_once(
    db: Connection, database_url: str, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    first = run_scheduler()
    second = with_standby(db, first, run_scheduler)
    with closing(psycopg2.connect(database_url)) as user:
        run(user, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        wait_for(lambda: one(db, WAITING) == 1)

        first.kill()
        killed_at = time.monotonic()
        wait_for(lambda: is_leader(db, second))
        assert time.monotonic() - killed_at < 2.0

    set_clock(db, NOON)
    wait_for(lambda: models_sent(redis_client) == [MODEL])


def test_a_leader_that_is_cut_off_is_replaced(
    databases: Databases, db: Connection, database_url: str, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    """Packets are dropped, not refused: PostgreSQL does not know that the leader is gone."""
    set_clock(db, BEFORE)
    schedule(db)
    with Proxy(databases.url_as("metrics_scheduler", database_url)) as network:
        first = run_scheduler(DATABASE_URL=network.url)
        second = with_standby(db, first, run_scheduler)

        network.silence()
        silent_at = time.monotonic()
        wait_for(lambda: is_leader(db, second))
        assert time.monotonic() - silent_at < 15.0

        set_clock(db, NOON)
        wait_for(lambda: models_sent(redis_client) == [MODEL])
        network.resume()
        wait_for(lambda: "PostgreSQL" in first.output)
        time.sleep(0.5)  # for what should not come
        assert models_sent(redis_client) == [MODEL]
        assert is_leader(db, second)
        assert first.popen.poll() is None


def test_a_leader_whose_session_is_ended_comes_back_without_a_word_lost(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    scheduler = run_scheduler()
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)

    run(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%scheduler%'")
    set_clock(db, NOON)

    wait_for(lambda: models_sent(redis_client) == [MODEL])
    assert scheduler.output.count("is the leader") == 2
    assert scheduler.popen.poll() is None


@pytest.mark.parametrize("victim", ["scheduler", "PostgreSQL", "the session"])
def test_what_ends_in_the_middle_of_a_fan_out_loses_nothing(
    databases: Databases,
    db: Connection,
    run_scheduler: Run,
    redis_client: redis.Redis,
    slow_redis: Proxy,
    victim: str,
) -> None:
    """It is begun again; the workers know what they had."""
    set_clock(db, BEFORE)
    schedule_many(db, 3000)
    ids = {model_id for (model_id,) in rows(db, "SELECT model_id::text FROM metrics_executions")}
    scheduler = run_scheduler(BATCH_SIZE="1", REDIS_URL=slow_redis.url)
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
    set_clock(db, NOON)
    wait_for(lambda: redis_client.llen(QUEUE) > 100)

    if victim == "scheduler":
        scheduler.kill()
    elif victim == "PostgreSQL":
        databases.server.process.kill()
    else:
        run(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%scheduler%'")
    assert 100 < redis_client.llen(QUEUE) < 3000
    if victim == "scheduler":
        run_scheduler()
    elif victim == "PostgreSQL":
        wait_for(lambda: "PostgreSQL" in scheduler.output)
        databases.restart()

    wait_for(lambda: set(models_sent(redis_client)) == ids)
    assert {message["due_at"] for message in published_messages(redis_client)} == {"2026-11-24T12:00:00.000+00:00"}


def test_the_clock_of_its_host_does_not_matter(db: Connection, run_scheduler: Run, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    run_scheduler(["tests.support.shifted_clock", "3", *SCHEDULER])
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
    assert published_messages(redis_client) == []

    set_clock(db, NOON)

    wait_for(lambda: one(db, "SELECT count(*) FROM fires"))  # a moment is recorded after its messages are sent
    assert models_sent(redis_client) == [MODEL]
    assert one(db, "SELECT fired_at::text FROM fires") == NOON


def test_a_long_lock_costs_neither_the_lead_nor_a_moment(
    db: Connection, database_url: str, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    scheduler = run_scheduler()
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
    with closing(psycopg2.connect(database_url)) as user:
        run(user, "LOCK TABLE metrics_executions IN ACCESS EXCLUSIVE MODE")
        set_clock(db, NOON)
        reason = wait_for(lambda: one(db, "SELECT error FROM leader"))
        assert reason == "PostgreSQL: canceling statement due to lock timeout"
        assert published_messages(redis_client) == []

    wait_for(lambda: models_sent(redis_client) == [MODEL], seconds=5)
    wait_for(lambda: one(db, "SELECT error FROM leader") is None)
    assert scheduler.output.count("is the leader") == 1


def test_a_client_that_sits_in_a_transaction_is_in_nobodys_way(
    db: Connection, database_url: str, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    run_scheduler()
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
    with closing(psycopg2.connect(database_url)) as user:
        run(user, "UPDATE metrics_executions SET cron_expression = '7 7 * * *'")  # and not committed

        set_clock(db, NOON)
        wait_for(lambda: models_sent(redis_client) == [MODEL])


def test_it_waits_for_a_connection_where_postgresql_has_none_left(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    run(db, "ALTER ROLE metrics_scheduler CONNECTION LIMIT 0")
    try:
        scheduler = run_scheduler()
        wait_for(lambda: "too many connections" in scheduler.output)
        set_clock(db, NOON)
    finally:
        run(db, "ALTER ROLE metrics_scheduler CONNECTION LIMIT -1")

    wait_for(lambda: models_sent(redis_client) == [MODEL], seconds=5)


@pytest.mark.parametrize("server", ["PostgreSQL", "Redis"])
def test_after_an_outage_it_looks_within_5_seconds_and_makes_up_once(
    databases: Databases, db: Connection, database_url: str, run_scheduler: Run, server: str
) -> None:
    """However long it was, by the clock of the system; packets are dropped, and long enough for the longest pause."""
    set_clock(db, BEFORE)
    schedule(db)
    url = databases.url_as("metrics_scheduler", database_url)
    with (
        local_redis.running() as queue,
        redis.Redis.from_url(queue.url) as client,
        Proxy(url if server == "PostgreSQL" else queue.url) as network,
    ):
        variable = "DATABASE_URL" if server == "PostgreSQL" else "REDIS_URL"
        scheduler = run_scheduler(**({"REDIS_URL": queue.url} | {variable: network.url}))
        wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
        network.cut()
        network.silence()
        wait_for(lambda: server in scheduler.output)
        for minute in ("12:00", "12:01", "12:02", "12:03"):
            set_clock(db, f"2026-11-24 {minute}:00+00")
        time.sleep(3)  # several tries, each with its pause
        assert published_messages(client) == []

        network.resume()
        wait_for(lambda: published_messages(client), seconds=5)

        wait_for(lambda: one(db, "SELECT count(*) FROM fires WHERE models > 0"))  # recorded after it is sent
        time.sleep(1)  # for what should not come
        assert [message["due_at"] for message in drain_queue(client)] == ["2026-11-24T12:03:00.000+00:00"]
        assert rows(db, "SELECT models, skipped FROM fires") == [(1, 3)]
        assert scheduler.popen.poll() is None


def test_a_slow_redis_only_takes_longer(
    databases: Databases, db: Connection, run_scheduler: Run, redis_client: redis.Redis, redis_url: str
) -> None:
    set_clock(db, BEFORE)
    schedule_many(db, 50)
    with Proxy(redis_url) as network:
        run_scheduler(REDIS_URL=network.url, BATCH_SIZE="10")
        wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
        network.delay = 0.1
        set_clock(db, NOON)

        wait_for(lambda: one(db, "SELECT count(*) FROM fires") == 1)
        assert len(models_sent(redis_client)) == 50


def test_a_redis_that_restarts_in_the_middle_of_a_fan_out_has_all_of_it_in_the_end(
    db: Connection, run_scheduler: Run
) -> None:
    set_clock(db, BEFORE)
    schedule_many(db, 3000)
    ids = {model_id for (model_id,) in rows(db, "SELECT model_id::text FROM metrics_executions")}
    with (
        local_redis.running() as server,
        redis.Redis.from_url(server.url) as client,
        Proxy(server.url) as network,
    ):
        network.delay = SLOW
        run_scheduler(REDIS_URL=network.url, BATCH_SIZE="1")
        wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
        set_clock(db, NOON)
        wait_for(lambda: client.llen(QUEUE) > 100)

        server.process.kill()
        server.process.start()
        wait_for(lambda: local_redis.answers(server.url))

        wait_for(lambda: set(models_sent(client)) == ids)


def test_two_leaders_at_once_send_more_and_harm_nothing(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    first = run_scheduler()
    wait_for(lambda: is_leader(db, first))
    second = run_scheduler(FORCED)
    wait_for(lambda: is_leader(db, second))
    for minute in ("12:00", "12:01", "12:02"):
        set_clock(db, f"2026-11-24 {minute}:00+00")
        wait_for(lambda minute=minute: one(db, f"SELECT next_due_at > '2026-11-24 {minute}+00' FROM crons"))  # type: ignore[misc]
    second.stop()
    set_clock(db, "2026-11-24 12:03:00+00")

    wait_for(lambda: "T12:03" in str(published_messages(redis_client)))
    assert {message["due_at"][11:16] for message in published_messages(redis_client)} == {
        "12:00",
        "12:01",
        "12:02",
        "12:03",
    }
    assert one(db, "SELECT sum(skipped) FROM fires") == 0


EDITS = """
    INSERT INTO metrics_executions (model_id, name, cron_expression)
        SELECT gen_random_uuid(), 'other', n % 60 || ' ' || n % 23 || ' 1 1 *' FROM generate_series(1, 2000) AS n;
    UPDATE metrics_executions SET timezone = 'Europe/Warsaw' WHERE name = 'other';
    UPDATE metrics_executions SET enabled = false WHERE name = 'other';
    UPDATE metrics_executions SET cron_expression = '* * * * *', enabled = true WHERE name = 'other';
    DELETE FROM metrics_executions WHERE name = 'other';
"""


def test_10_000_edits_while_a_fan_out_runs_change_nothing_of_it(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis, slow_redis: Proxy
) -> None:
    """Each is committed by itself; at last the whole table is emptied, by which the next moment has nobody to run."""
    set_clock(db, BEFORE)
    schedule_many(db, 2000)
    ids = {model_id for (model_id,) in rows(db, "SELECT model_id::text FROM metrics_executions")}
    run_scheduler(BATCH_SIZE="1", REDIS_URL=slow_redis.url)
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
    set_clock(db, NOON)
    wait_for(lambda: redis_client.llen(QUEUE) > 10)

    slow_redis.delay = 1.0  # so slow that the fan-out is the last to end on any machine
    for statement in EDITS.split(";")[:-1]:
        run(db, statement)
    copy_in(db, 2000)
    assert redis_client.llen(QUEUE) < 2000
    slow_redis.delay = SLOW
    run(db, "TRUNCATE metrics_executions")

    wait_for(lambda: one(db, "SELECT count(*) FROM fires") == 1)
    assert sorted(models_sent(redis_client)) == sorted(ids)
    set_clock(db, "2026-11-24 12:01:00+00")
    wait_for(lambda: one(db, "SELECT min(next_due_at) > '2026-11-24 12:01+00' FROM crons"))
    assert redis_client.llen(QUEUE) == 2000


def copy_in(db: Connection, count: int) -> None:
    """By way of a file of the server: psycopg2 does not copy where it waits in Python."""
    path = f"{one(db, 'SHOW data_directory')}/models.tsv"
    models = f"SELECT gen_random_uuid(), '* * * * *' FROM generate_series(1, {count})"
    run(db, f"COPY ({models}) TO '{path}'; COPY metrics_executions (model_id, cron_expression) FROM '{path}'")


def test_a_server_that_says_nothing_ends_a_connection_attempt_and_a_statement(
    databases: Databases, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "RESPONSE_MARGIN", -1.0)
    monkeypatch.setattr(postgres, "CONNECT_TIMEOUT", 1.0)
    monkeypatch.setattr(postgres.Connection, "response_timeout", 1.0)
    with Proxy(databases.url_as("metrics_scheduler", database_url)) as network:
        database = postgres.connect(network.url, "tests", statement_timeout=2)
        network.silence()

        for wait in (lambda: run(database, "SELECT 1"), lambda: postgres.connect(network.url, "tests")):
            started = time.monotonic()
            with pytest.raises(psycopg2.OperationalError, match="has not responded for 1 seconds"):
                wait()
            assert 0.9 < time.monotonic() - started < 3.0
        assert database.closed
