"""The lead goes to a scheduler that can do the work, and who keeps it from all is named."""

import time
from contextlib import closing

import psycopg2
import redis

from core.leader_lock import LEADER_LOCK
from devstack import redis as local_redis
from tests.integration.scheduler.conftest import BEFORE, NOON, Run
from tests.support.celery_queue import published_messages
from tests.support.databases import MODEL, Connection, Databases, one, run, schedule, set_clock, wait_for
from tests.support.processes import is_leader
from tests.support.proxy import Proxy

IMPATIENT = ["tests.support.quick_resigning_scheduler"]


def test_another_roles_advisory_lock_is_named(
    databases: Databases, db: Connection, database_url: str, run_scheduler: Run
) -> None:
    with closing(psycopg2.connect(databases.url_as("metrics_client", database_url))) as client:
        client.autocommit = True
        run(client, f"SELECT pg_advisory_lock({LEADER_LOCK})")
        scheduler = run_scheduler()
        pid = one(client, "SELECT pg_backend_pid()")
        expected = f"role metrics_client (pid {pid}, application_name '') holds the advisory lock {LEADER_LOCK}"

        wait_for(lambda: expected in scheduler.output)

    wait_for(lambda: is_leader(db, scheduler))
    assert scheduler.output.count("holds the advisory lock") == 1


def test_a_leader_that_fails_turn_after_turn_leaves_the_lead_to_a_standby(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis, redis_url: str
) -> None:
    """Only its own way to Redis is broken."""
    set_clock(db, BEFORE)
    schedule(db)
    with Proxy(redis_url) as network:
        first = run_scheduler(IMPATIENT, REDIS_URL=network.url)
        wait_for(lambda: is_leader(db, first))
        wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
        second = run_scheduler()
        network.cut()
        network.silence()
        set_clock(db, NOON)

        wait_for(
            lambda: [message["model_ids"] for message in published_messages(redis_client)] == [[MODEL]], seconds=40
        )
        assert is_leader(db, second)
        assert "resigned in favour of a standby" in first.output
        assert first.popen.poll() is None


def test_a_leader_without_a_standby_keeps_the_lead_whatever_fails(db: Connection, run_scheduler: Run) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    with local_redis.running() as server:
        scheduler = run_scheduler(IMPATIENT, REDIS_URL=server.url)
        wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
        server.process.kill()
        wait_for(lambda: "Redis" in (one(db, "SELECT error FROM leader") or ""))
        failing_since = time.monotonic()
        wait_for(lambda: time.monotonic() - failing_since > 2 * 1.0)  # for what should not come
        schedule(db, "00000000-0000-4000-8000-000000000001", "1 1 1 1 1")
        wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 2)
    assert scheduler.output.count(" is the leader") == 1
