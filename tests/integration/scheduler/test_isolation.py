"""Bad notifications, rows, pairs and requests cost only themselves."""

import logging
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import psycopg2
import pytest
import redis

from core.cron.spec import CronSpec, next_due_time
from core.queue.keys import CHECKPOINT_KEY, QUEUE
from core.results.keys import FAILING_KEY, results_key
from scheduler.task_runner import TaskRunner
from scheduler.tasks import next_runs, run_requests
from tests.integration.scheduler.conftest import BEFORE, NOON, Run, Start, work
from tests.support.celery_queue import drain_queue, published_messages
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    one,
    past_the_triggers,
    rows,
    run,
    schedule,
    set_clock,
    wait_for,
)

JUNK = [
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


def notify(db: Connection, payload: str) -> None:
    run(db, "SELECT pg_notify('metrics_executions', %s)", payload)


@pytest.fixture
def stranger(db: Connection, database_url: str) -> Iterator[Connection]:
    """A role that may connect, and nothing else."""
    run(db, "DROP ROLE IF EXISTS stranger; CREATE ROLE stranger LOGIN")
    with closing(psycopg2.connect(database_url)) as connection:
        connection.autocommit = True
        run(connection, "SET SESSION AUTHORIZATION stranger")
        yield connection
    run(db, "DROP ROLE stranger")


@pytest.mark.parametrize("payload", JUNK)
def test_a_notification_that_cannot_be_read_is_dropped_once_and_logged_escaped(
    db: Connection,
    stranger: Connection,
    start: Start,
    redis_client: redis.Redis,
    caplog: pytest.LogCaptureFixture,
    payload: str,
) -> None:
    set_clock(db, BEFORE)
    leader = start()
    work(leader)
    caplog.clear()

    notify(stranger, payload)
    schedule(db)
    work(leader)
    work(leader)
    set_clock(db, NOON)
    work(leader)

    [line] = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert line.startswith("notification dropped")
    assert "\n" not in line
    assert [message["model_ids"] for message in published_messages(redis_client)] == [[MODEL]]
    assert one(db, "SELECT error FROM leader") is None


def test_more_announced_pairs_than_memory_is_for_are_found_in_the_table(
    db: Connection, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_runs, "MAX_ANNOUNCED", 3)
    leader = start()
    work(leader)

    for minute in range(5):
        run(
            db,
            "INSERT INTO metrics_executions (model_id, cron_expression) VALUES (gen_random_uuid(), %s)",
            f"{minute} 1 * * *",
        )
    work(leader)

    assert one(db, "SELECT count(*) FROM crons") == 5


@pytest.mark.parametrize(
    "active_since", ["-infinity", "infinity", "0001-01-01 00:00+00", "0044-03-15 BC", "20000-01-01"]
)
def test_an_active_since_that_no_clock_has_written_does_not_keep_others_of_its_pair(
    db: Connection, start: Start, redis_client: redis.Redis, active_since: str
) -> None:
    set_clock(db, BEFORE)
    leader = start()
    work(leader)
    with past_the_triggers(db):
        schedule(db, OTHER, "0 12 * * *")
        run(db, "UPDATE metrics_executions SET active_since = %s", active_since)
    schedule(db, MODEL, "0 12 * * *")
    schedule(db, "00000000-0000-4000-8000-000000000001", "*/2 * * * *")
    work(leader)
    set_clock(db, NOON)
    work(leader)

    ran = {model for message in published_messages(redis_client) for model in message["model_ids"]}
    assert ran >= {MODEL, "00000000-0000-4000-8000-000000000001"}
    assert one(db, "SELECT error FROM leader") is None
    assert one(db, "SELECT sum(skipped) FROM fires") == 0


@pytest.mark.parametrize(
    "timezone", ["__init__/py", "Europe", "../etc/passwd", "a/\x01", "Europe/Warsaw/../Paris", "x" * 90]
)
def test_a_time_zone_that_is_none_is_its_own_pairs_error(db: Connection, start: Start, timezone: str) -> None:
    set_clock(db, BEFORE)
    leader = start()
    with past_the_triggers(db):
        schedule(db, OTHER, "* * * * *", timezone)
        run(db, "UPDATE metrics_executions SET active_since = schedule_now()")
    schedule(db, MODEL)
    work(leader)

    found = dict(rows(db, "SELECT timezone, error FROM crons"))
    assert found["UTC"] is None
    assert "time zone" in found[timezone]


def test_whatever_the_calendar_raises_is_the_pairs_error(monkeypatch: pytest.MonkeyPatch, db: Connection) -> None:
    now = one(db, "SELECT schedule_now()")

    moment = next_due_time(CronSpec("* * * * *", "UTC"), now.replace(year=9999, month=12, day=31, hour=23, minute=59))

    assert moment.next_due_at is None
    assert moment.error is not None


@pytest.mark.parametrize("value", ["20000-01-01", "infinity", "-infinity", "0044-03-15 BC", "2027-01-01 00:00+00"])
def test_a_run_requested_for_no_time_that_a_run_can_have_runs_now(
    db: Connection, start: Start, redis_client: redis.Redis, value: str
) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 0 1 1 *")
    schedule(db, OTHER, "0 0 1 1 *")
    with past_the_triggers(db):
        run(
            db,
            "UPDATE metrics_executions SET run_requested_at = %s, name = repeat('x', 300) WHERE model_id = %s",
            value,
            MODEL,
        )
    run(db, "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s", OTHER)
    leader = start()
    work(leader)

    assert {message["due_at"] for message in published_messages(redis_client)} == {"2026-11-24T11:59:30.000+00:00"}
    assert {model for message in published_messages(redis_client) for model in message["model_ids"]} == {MODEL, OTHER}


def test_a_request_beside_a_name_that_is_too_long_is_sent_and_cleared(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_requests, "PERSIST_TIME", 0.0)
    set_clock(db, BEFORE)
    schedule(db)
    with past_the_triggers(db):
        run(db, "UPDATE metrics_executions SET run_requested_at = schedule_now(), name = repeat('x', 300)")
    leader = start()
    work(leader)

    assert len(published_messages(redis_client)) == 1
    assert one(db, "SELECT run_requested_at FROM metrics_executions") is None


REFUSE_ALL = """
    CREATE TABLE audit (model_id uuid);
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN INSERT INTO audit VALUES (NEW.model_id); RETURN NULL; END $$;
    GRANT INSERT ON audit TO metrics_api, metrics_client;
    CREATE TRIGGER users_own AFTER UPDATE ON metrics_executions FOR EACH ROW EXECUTE FUNCTION refuse()
"""
REFUSE_ONE = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            IF NEW.model_id = '550e8400-e29b-41d4-a716-446655440000' AND NEW.run_requested_at IS NULL THEN
                RAISE EXCEPTION 'not on a Saturday';
            END IF;
            RETURN NULL;
        END $$;
    CREATE TRIGGER users_own AFTER UPDATE ON metrics_executions FOR EACH ROW EXECUTE FUNCTION refuse()
"""
SLOW = """
    CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN IF current_user = 'metrics_scheduler' THEN PERFORM pg_sleep(20); END IF; RETURN NULL; END $$;
    CREATE TRIGGER users_own AFTER UPDATE ON metrics_executions FOR EACH ROW EXECUTE FUNCTION refuse()
"""


@pytest.fixture(params=["all", "one", "slow"])
def refusing(request: pytest.FixtureRequest, db: Connection) -> Iterator[str]:
    """A trigger of users that does not let the scheduler clear requests."""
    run(db, {"all": REFUSE_ALL, "one": REFUSE_ONE, "slow": SLOW}[request.param])
    yield request.param
    run(db, "DROP TRIGGER IF EXISTS users_own ON metrics_executions; DROP FUNCTION refuse; DROP TABLE IF EXISTS audit")


def test_a_trigger_of_users_that_refuses_keeps_neither_new_schedules_nor_other_requests(
    db: Connection, refusing: str, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_requests, "PERSIST_TIME", 0.0)
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 0 1 1 *")
    leader = start()
    work(leader)
    run(db, "UPDATE metrics_executions SET run_requested_at = now()")
    work(leader)
    schedule(db, OTHER, "0 12 * * *")
    run(db, "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s", OTHER)
    work(leader)
    work(leader)

    assert [message["model_ids"] for message in drain_queue(redis_client)] == [[MODEL], [OTHER]]  # each once
    assert one(db, "SELECT count(*) FROM crons") == 2
    assert one(db, "SELECT error FROM leader") is None
    left = {
        model for (model,) in rows(db, "SELECT model_id FROM metrics_executions WHERE run_requested_at IS NOT NULL")
    }
    assert left == ({MODEL} if refusing == "one" else {MODEL, OTHER})
    set_clock(db, NOON)
    work(leader)
    assert [message["due_at"][11:16] for message in drain_queue(redis_client)] == ["12:00"]

    run(db, "DROP TRIGGER users_own ON metrics_executions")
    monkeypatch.setattr(run_requests, "REFUSED_RETRY_DELAY", 0.0)
    work(start())
    assert one(db, "SELECT count(run_requested_at) FROM metrics_executions") == 0


def test_a_pair_that_cannot_be_recorded_is_sent_once_and_the_others_go_on(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "* * * * *")
    schedule(db, OTHER, "*/1 * * * *")
    leader = start()
    work(leader)
    refused = "cron_expression = '*/1 * * * *' AND next_due_at > '2026-11-24 12:00+00'"
    run(db, f"ALTER TABLE crons ADD CONSTRAINT odd CHECK (NOT ({refused}))")
    try:
        for minute in ("12:00", "12:01", "12:02"):
            set_clock(db, f"2026-11-24 {minute}:00+00")
            work(leader)
        ran = [
            (model, message["due_at"][11:16]) for message in drain_queue(redis_client) for model in message["model_ids"]
        ]
    finally:
        run(db, "ALTER TABLE crons DROP CONSTRAINT odd")

    assert [minute for model, minute in ran if model == MODEL] == ["12:00", "12:01", "12:02"]
    assert [minute for model, minute in ran if model == OTHER] == ["12:00"]
    for fire in leader._due_runs._unrecorded.values():  # noqa: SLF001  # as if a minute had passed
        fire.retry_at = 0.0
    set_clock(db, "2026-11-24 12:03:00+00")
    work(leader)
    assert {model for message in drain_queue(redis_client) for model in message["model_ids"]} == {MODEL, OTHER}


def test_what_is_sent_and_cannot_be_recorded_is_not_sent_again(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    run(db, "REVOKE INSERT ON fires FROM metrics_scheduler")
    try:
        set_clock(db, NOON)
        for _ in range(5):
            work(leader)
        assert "permission denied" in one(db, "SELECT error FROM leader")
    finally:
        run(db, "GRANT INSERT ON fires TO metrics_scheduler")

    def recorded() -> bool:
        work(leader)
        return bool(one(db, "SELECT count(*) FROM fires"))

    wait_for(recorded)
    work(leader)
    assert len(published_messages(redis_client)) == 1
    assert rows(db, "SELECT models, messages, lag FROM fires") == [(1, 1, timedelta(0))]
    assert one(db, "SELECT error FROM leader") is None


def test_what_is_sent_and_not_recorded_is_sent_again_where_redis_has_lost_it(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    set_clock(db, NOON)
    work(leader)
    run(db, "REVOKE INSERT ON fires FROM metrics_scheduler")
    try:
        set_clock(db, "2026-11-24 12:01:00+00")
        work(leader)
        redis_client.flushall()
        work(leader)
    finally:
        run(db, "GRANT INSERT ON fires TO metrics_scheduler")

    assert "12:01" in {message["due_at"][11:16] for message in published_messages(redis_client)}


@pytest.mark.parametrize(
    "value", [b"\xff", b"[", b"9999-12-31T23:59:59.999999-14:00/1", b"0001-01-01T00:00:00+14:00/x"]
)
def test_a_marker_that_is_none_is_replaced(
    db: Connection, start: Start, redis_client: redis.Redis, value: bytes
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    set_clock(db, NOON)
    work(leader)
    redis_client.set(CHECKPOINT_KEY, value)
    set_clock(db, "2026-11-24 12:01:00+00")
    work(leader)

    assert "12:01" in {message["due_at"][11:16] for message in drain_queue(redis_client)}
    assert one(db, "SELECT error FROM leader") is None
    assert redis_client.get(CHECKPOINT_KEY) == one(db, "SELECT max(finished_at) FROM fires").isoformat().encode()


@pytest.mark.parametrize("name", [QUEUE, CHECKPOINT_KEY, FAILING_KEY, "unacked", "unacked_index", "celery:taken"])
def test_a_shared_key_of_another_type_is_deleted(
    db: Connection, start: Start, redis_client: redis.Redis, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    redis_client.delete(name)
    redis_client.xadd(name, {"a": "b"})
    set_clock(db, NOON)
    work(leader)

    assert [message["model_ids"] for message in published_messages(redis_client)] == [[MODEL]]
    if name in {QUEUE, CHECKPOINT_KEY}:
        assert f"{name} (stream)" in caplog.text


def test_a_task_that_fails_keeps_no_other_from_running(db: Connection, caplog: pytest.LogCaptureFixture) -> None:
    runner = TaskRunner(db)

    def fail() -> bool:
        raise ZeroDivisionError("odd")

    assert not runner.run("one", fail)
    assert runner.error == "ZeroDivisionError: odd"
    assert runner.run("other", lambda: True)
    assert not runner.run("one", lambda: True)  # it backs off

    assert wait_for(lambda: runner.run("one", lambda: True))
    assert runner.error is None
    assert "one: recovered" in caplog.text


def test_new_pairs_are_settled_while_redis_is_away(db: Connection, run_scheduler: Run) -> None:
    run_scheduler(REDIS_URL="redis://127.0.0.1:1/0")
    wait_for(lambda: "Redis" in (one(db, "SELECT error FROM leader") or ""))

    schedule(db)

    wait_for(lambda: one(db, "SELECT count(next_due_at) FROM crons") == 1)


def test_an_import_that_goes_on_does_not_keep_pairs_from_being_settled(
    db: Connection, start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each statement brings more pairs than it can name, and would set a walk back to its start."""
    monkeypatch.setattr(next_runs, "BATCH_SIZE", 10)
    leader = start()
    work(leader)
    add = """
        INSERT INTO metrics_executions (model_id, cron_expression)
        SELECT gen_random_uuid(), concat_ws(' ', %s::text, n %% 24, n / 24 + 1, %s::text, '*')
        FROM generate_series(0, 119) AS n
    """
    run(db, add, 59, 1)  # last but a few in the order of the walk
    for minute in range(30):
        run(db, add, minute, 2)
        for _ in range(20):
            leader.step()

    assert one(db, "SELECT count(*) FROM crons WHERE cron_expression LIKE '59 %'") == 120


def test_a_long_transaction_does_not_run_at_commit_for_a_time_before_it(
    db: Connection, database_url: str, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, "2026-11-24 11:58:30+00")
    schedule(db, OTHER, "* * * * *")
    leader = start()
    work(leader)
    with closing(psycopg2.connect(database_url)) as user:
        schedule(user, MODEL, "* * * * *", "Pacific/Marquesas")
        for minute in ("11:59", "12:00", "12:01"):
            set_clock(db, f"2026-11-24 {minute}:00+00")
            work(leader)
        set_clock(db, "2026-11-24 12:01:11+00")
        work(leader)
        user.commit()
    work(leader)

    ran = [(model, message["due_at"][11:16]) for message in drain_queue(redis_client) for model in message["model_ids"]]
    assert [minute for model, minute in ran if model == MODEL] == []
    assert one(db, "SELECT sum(skipped) FROM fires") == 0
    set_clock(db, "2026-11-24 12:02:00+00")
    work(leader)
    assert {model for message in drain_queue(redis_client) for model in message["model_ids"]} == {MODEL, OTHER}


def test_a_long_import_does_not_run_at_commit_either(
    db: Connection, database_url: str, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, "2026-11-24 11:58:30+00")
    leader = start()
    work(leader)
    with closing(psycopg2.connect(database_url)) as user:
        run(
            user,
            "INSERT INTO metrics_executions (model_id, cron_expression, timezone)"
            " SELECT gen_random_uuid(), '* * * * *', name FROM time_zones",
        )
        set_clock(db, "2026-11-24 12:01:11+00")
        work(leader)
        user.commit()
    work(leader)

    assert published_messages(redis_client) == []
    assert one(db, "SELECT coalesce(sum(skipped), 0) FROM fires") == 0
    assert one(db, "SELECT min(next_due_at) FROM crons").isoformat() == "2026-11-24T12:02:00+00:00"


def test_a_clock_that_was_ahead_and_came_back_changes_nothing_for_long(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    schedule(db, "00000000-0000-4000-8000-000000000001", "0 0 1 1 *")
    leader = start()
    work(leader)
    set_clock(db, "2026-11-25 12:00:00+00")
    work(leader)
    schedule(db, OTHER)  # active since tomorrow
    run(db, "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s", OTHER)
    work(leader)
    drain_queue(redis_client)

    set_clock(db, "2026-11-24 12:05:30+00")
    work(leader)
    assert one(db, "SELECT max(active_since) <= schedule_now() FROM metrics_executions")
    assert rows(db, "SELECT count(*) FROM fires WHERE due_at > schedule_now() OR finished_at > schedule_now()") == [
        (0,)
    ]
    set_clock(db, "2026-11-24 12:06:00+00")
    work(leader)

    ran = {(model, message["due_at"][:16]) for message in drain_queue(redis_client) for model in message["model_ids"]}
    assert ran == {(MODEL, "2026-11-24T12:06"), (OTHER, "2026-11-24T12:06")}
    assert rows(db, "SELECT models, skipped, duration FROM fires WHERE due_at = schedule_now()") == [
        (2, 0, timedelta(0))
    ]
    assert one(db, "SELECT max(next_due_at)::date::text FROM crons") == "2027-01-01"


def test_a_clock_that_came_back_while_no_scheduler_ran_changes_nothing_either(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, "2026-11-25 12:00:00+00")
    schedule(db)
    leader = start()
    work(leader)
    leader.record_heartbeat(None)
    set_clock(db, BEFORE)
    leader = start()
    work(leader)
    set_clock(db, NOON)
    work(leader)

    assert [message["due_at"][:16] for message in published_messages(redis_client)] == ["2026-11-24T12:00"]


def test_entries_of_failing_models_whose_results_have_expired_are_deleted(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    gone = {f"00000000-0000-4000-8000-{number:012}": float(number) for number in range(2500)}
    redis_client.zadd(FAILING_KEY, gone | {MODEL: 1.0})
    redis_client.zadd(FAILING_KEY, {b"\xff junk": 2.0})
    redis_client.zadd(results_key(MODEL), {"[]": 1.0})
    leader = start()
    work(leader)
    leader._cleaned_up_at -= 1000  # noqa: SLF001  # the next round comes at once
    work(leader)

    assert redis_client.zrange(FAILING_KEY, 0, -1) == [MODEL.encode()]
