"""Leader election: takeover by a standby, and other sessions that hold the leader lock."""

import signal
import time
from contextlib import closing

import psycopg2
import pytest
import redis
from psycopg2 import OperationalError

from core import postgres
from core.leader_lock import LEADER_LOCK
from devstack import redis as local_redis
from scheduler.leader_election import try_to_lead
from tests.support.celery_queue import published_messages
from tests.support.databases import MODEL, Connection, Databases, execute, fetch_value, schedule, set_clock, wait_for
from tests.support.processes import Service, is_leader
from tests.support.proxy import Proxy
from tests.support.schedulers import (
    BEFORE_NOON,
    NOON,
    StartScheduler,
    leader_error,
    start_standby,
    wait_for_cron_specs,
)

QUICK_RESIGNING_SCHEDULER = ["tests.support.quick_resigning_scheduler"]
RESIGN_AFTER = 1.0  # seconds; of that scheduler


@pytest.fixture
def leader_and_standby(db: Connection, start_scheduler: StartScheduler) -> tuple[Service, Service]:
    """Two schedulers half a minute before noon, with a schedule that runs every minute."""
    set_clock(db, BEFORE_NOON)
    schedule(db)
    leader = start_scheduler()
    return leader, start_standby(db, leader, start_scheduler)


def test_standby_takes_over_from_a_killed_leader(
    db: Connection, leader_and_standby: tuple[Service, Service], redis_client: redis.Redis
) -> None:
    leader, standby = leader_and_standby
    wait_for_cron_specs(db)
    time.sleep(1.0)  # the standby has tried to lead in the meantime
    assert is_leader(db, leader)

    leader.kill()
    killed_at = time.monotonic()
    wait_for(lambda: is_leader(db, standby))
    takeover_time = time.monotonic() - killed_at
    set_clock(db, NOON)

    wait_for(lambda: published_messages(redis_client))
    assert [message["model_ids"] for message in published_messages(redis_client)] == [[MODEL]]
    assert takeover_time < 2.0


def test_stopped_leader_is_replaced_and_does_no_harm_when_it_continues(
    db: Connection, leader_and_standby: tuple[Service, Service], redis_client: redis.Redis
) -> None:
    leader, standby = leader_and_standby

    leader.popen.send_signal(signal.SIGSTOP)
    wait_for(lambda: is_leader(db, standby), seconds=15)
    leader.popen.send_signal(signal.SIGCONT)
    wait_for(lambda: "PostgreSQL" in leader.output)
    set_clock(db, NOON)

    wait_for(lambda: published_messages(redis_client))
    time.sleep(0.5)  # no second message must follow
    assert len(published_messages(redis_client)) == 1
    assert is_leader(db, standby)
    assert leader.popen.poll() is None


def test_leadership_ends_with_the_session_of_the_leader(databases: Databases, database_url: str) -> None:
    url = databases.url_as("metrics_scheduler", database_url)
    first, second = postgres.connect(url, "first"), postgres.connect(url, "second")

    assert try_to_lead(first)
    assert not try_to_lead(second)
    first.close()
    wait_for(lambda: try_to_lead(second), seconds=2)
    second.close()


def test_session_of_an_unresponsive_leader_is_terminated_by_a_standby(databases: Databases, database_url: str) -> None:
    url = databases.url_as("metrics_scheduler", database_url)
    first, second = postgres.connect(url, "first"), postgres.connect(url, "second")
    assert try_to_lead(first)

    wait_for(lambda: try_to_lead(second, leader_timeout=0.0), seconds=2)

    with pytest.raises(OperationalError):
        execute(first, "SELECT 1")
    first.close()
    second.close()


def test_session_of_another_role_that_holds_the_leader_lock_is_logged(
    databases: Databases, db: Connection, database_url: str, start_scheduler: StartScheduler
) -> None:
    with closing(psycopg2.connect(databases.url_as("metrics_client", database_url))) as client:
        client.autocommit = True
        execute(client, f"SELECT pg_advisory_lock({LEADER_LOCK})")
        scheduler = start_scheduler()
        pid = fetch_value(client, "SELECT pg_backend_pid()")
        expected = f"role metrics_client (pid {pid}, application_name '') holds the advisory lock {LEADER_LOCK}"

        wait_for(lambda: expected in scheduler.output)

    wait_for(lambda: is_leader(db, scheduler))
    assert scheduler.output.count("holds the advisory lock") == 1


def test_leader_that_keeps_failing_resigns_in_favour_of_a_standby(
    db: Connection, start_scheduler: StartScheduler, redis_client: redis.Redis, redis_url: str
) -> None:
    """Only its own connection to Redis is broken."""
    set_clock(db, BEFORE_NOON)
    schedule(db)
    with Proxy(redis_url) as network:
        leader = start_scheduler(QUICK_RESIGNING_SCHEDULER, REDIS_URL=network.url)
        wait_for(lambda: is_leader(db, leader))
        wait_for_cron_specs(db)
        standby = start_scheduler()
        network.cut()
        network.silence()
        set_clock(db, NOON)

        wait_for(
            lambda: [message["model_ids"] for message in published_messages(redis_client)] == [[MODEL]], seconds=40
        )
        assert is_leader(db, standby)
        assert "resigned in favour of a standby" in leader.output
        assert leader.popen.poll() is None


def test_failing_leader_without_a_standby_does_not_resign(db: Connection, start_scheduler: StartScheduler) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    with local_redis.running() as server:
        scheduler = start_scheduler(QUICK_RESIGNING_SCHEDULER, REDIS_URL=server.url)
        wait_for_cron_specs(db)
        server.process.kill()
        wait_for(lambda: "Redis" in leader_error(db))
        failing_since = time.monotonic()
        wait_for(lambda: time.monotonic() - failing_since > 2 * RESIGN_AFTER)  # it must not resign
        schedule(db, "00000000-0000-4000-8000-000000000001", "1 1 1 1 1")
        wait_for_cron_specs(db, 2)
    assert scheduler.output.count(" is the leader") == 1
