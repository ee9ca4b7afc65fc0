"""Notifications of metrics_executions, to which any role may send."""

import logging
from collections.abc import Iterator
from contextlib import closing

import psycopg2
import pytest
import redis

from scheduler.tasks.next_runs import MAX_ANNOUNCED
from tests.support.celery_queue import published_messages
from tests.support.databases import MODEL, Connection, execute, fetch_value, model_ids, schedule, set_clock
from tests.support.schedulers import BEFORE_NOON, StartLeader, run_leader_at, run_leader_until_idle

UNREADABLE = [
    "[" * 7900,
    '{"pairs": [["\\ud800", "UTC"]]}',
    '{"pairs": [["a\\u0000", "UTC"]]}',
    '{"pairs": [[1, 2]]}',
    '{"pairs": [["* * * * *"]]}',
    '{"pairs": "x"}',
    '{"pairs": 5}',
    "[]",
    "null",
    "12",
    "x\n[2026-11-28 05:00:00,000: ERROR/MainProcess] forged",
]
# In each notification a hundred cron specs that no schedule has.
ANNOUNCE_UNUSED = """
    SELECT pg_notify('metrics_executions', json_build_object('pairs', specs.json)::text)
    FROM generate_series(1, %s) AS number, LATERAL (
        SELECT json_agg(json_build_array(concat_ws(' ', number, n), 'UTC')) AS json FROM generate_series(1, 100) AS n
    ) AS specs
"""


def notify(db: Connection, payload: str) -> None:
    execute(db, "SELECT pg_notify('metrics_executions', %s)", payload)


@pytest.fixture
def unprivileged_session(db: Connection, database_url: str) -> Iterator[Connection]:
    """A session of a role that may connect, and nothing else."""
    execute(db, "DROP ROLE IF EXISTS unprivileged; CREATE ROLE unprivileged LOGIN")
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        execute(connection, "SET SESSION AUTHORIZATION unprivileged")
        yield connection
    execute(db, "DROP ROLE unprivileged")


@pytest.mark.parametrize("payload", UNREADABLE)
def test_unreadable_notification_is_dropped_and_logged_once_with_escapes(
    db: Connection,
    unprivileged_session: Connection,
    start_leader: StartLeader,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    payload: str,
) -> None:
    set_clock(db, BEFORE_NOON)
    leader = start_leader()
    run_leader_until_idle(leader)
    caplog.clear()

    notify(unprivileged_session, payload)
    schedule(db)
    run_leader_until_idle(leader)
    run_leader_until_idle(leader)
    run_leader_at(db, leader, "12:00")

    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("notification dropped")
    assert "\n" not in line
    assert [message["model_ids"] for message in published_messages(redis_client)] == [[MODEL]]
    assert fetch_value(db, "SELECT error FROM leader") is None


@pytest.mark.parametrize("payload", ["nonsense", "[]", "{}", '{"pairs": 5}', '{"pairs": [1]}', '{"pairs": [["a", 5]]}'])
def test_malformed_notification_does_not_affect_others(db: Connection, start_leader: StartLeader, payload: str) -> None:
    leader = start_leader()
    notify(db, payload)
    schedule(db)

    run_leader_until_idle(leader)

    assert fetch_value(db, "SELECT cron_expression FROM crons") == "* * * * *"


def test_announced_cron_specs_beyond_the_limit_are_read_from_the_table(
    db: Connection, start_leader: StartLeader
) -> None:
    leader = start_leader()
    run_leader_until_idle(leader)

    for minute, model_id in enumerate(model_ids(5)):
        schedule(db, model_id, f"{minute} 1 * * *")
    execute(db, ANNOUNCE_UNUSED, MAX_ANNOUNCED // 100 + 1)
    run_leader_until_idle(leader)

    assert fetch_value(db, "SELECT count(*) FROM crons") == 5
