"""What a leading scheduler sends, minute by minute of the database's clock."""

import math
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

import psycopg2
import pytest
import redis

from core.cron.time_zones import TZDATA_VERSION
from core.queue.keys import CHECKPOINT_KEY, QUEUE
from scheduler import leader as leader_module
from scheduler.leader import Leader
from scheduler.queue import SentCounts
from scheduler.tasks import due_runs, next_runs, run_requests
from tests.integration.scheduler.conftest import BEFORE, NOON, Start, work
from tests.support.celery_queue import drain_queue, published_messages
from tests.support.databases import (
    MODEL,
    OTHER,
    Connection,
    model_ids,
    one,
    past_the_triggers,
    rows,
    run,
    schedule,
    schedule_many,
    set_clock,
)


def moments(client: redis.Redis) -> list[tuple[str, str]]:
    """Return (model, moment) for all that is in the queue, and empty it."""
    return [(model, message["due_at"][11:16]) for message in drain_queue(client) for model in message["model_ids"]]


def live_through(db: Connection, leader: Leader, *minutes: str) -> None:
    """Let the leader work at each of these minutes of 24 November 2026."""
    for minute in minutes:
        set_clock(db, f"2026-11-24 {minute}:00+00")
        work(leader)


def test_a_schedule_runs_at_its_moment_and_not_before(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    assert published_messages(redis_client) == []

    set_clock(db, NOON)
    work(leader)

    assert published_messages(redis_client) == [
        {"model_ids": [MODEL], "due_at": "2026-11-24T12:00:00.000+00:00", "requested": False, "alone": False}
    ]
    assert one(db, "SELECT next_due_at FROM crons").isoformat() == "2026-11-24T12:01:00+00:00"


def test_it_logs_the_moment(db: Connection, start: Start) -> None:
    set_clock(db, BEFORE)
    schedule_many(db, 25)
    schedule(db, MODEL, "0 12 * * *", "Europe/London")
    leader = start()
    work(leader)
    set_clock(db, "2026-11-24 12:00:00.250+00")
    work(leader)

    [row] = rows(
        db, "SELECT fired_at - due_at, crons, models, messages, skipped, leader, finished_at IS NOT NULL FROM fires"
    )
    assert str(row[0]) == "0:00:00.250000"
    assert row[1:] == (2, 26, 3, 0, "tests", True)


def test_models_travel_in_batches(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE)
    schedule_many(db, 25)
    leader = start()
    work(leader)
    set_clock(db, NOON)
    work(leader)

    assert [len(message["model_ids"]) for message in published_messages(redis_client)] == [10, 10, 5]


def test_an_edit_counts_from_its_commit(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 12 * * *")
    schedule(db, OTHER, "0 12 * * *")
    leader = start()
    work(leader)

    run(db, "UPDATE metrics_executions SET cron_expression = '2 12 * * *' WHERE model_id = %s", MODEL)
    live_through(db, leader, "12:00", "12:01", "12:02", "12:03")

    assert moments(redis_client) == [(OTHER, "12:00"), (MODEL, "12:02")]


@pytest.mark.parametrize(
    "change",
    ["DELETE FROM metrics_executions", "UPDATE metrics_executions SET enabled = false", "TRUNCATE metrics_executions"],
)
def test_what_is_deleted_or_paused_does_not_run(
    db: Connection, start: Start, redis_client: redis.Redis, change: str
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)

    run(db, change)
    set_clock(db, NOON)
    work(leader)

    assert published_messages(redis_client) == []


def test_an_edit_by_itself_never_fires(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    """Neither a new row, nor a resumed one, nor a restart at the very moment."""
    set_clock(db, NOON)
    schedule(db, MODEL)
    schedule(db, OTHER)
    run(db, "UPDATE metrics_executions SET enabled = NOT enabled WHERE model_id = %s", OTHER)
    run(db, "UPDATE metrics_executions SET enabled = NOT enabled WHERE model_id = %s", OTHER)

    work(start())
    work(start())

    assert published_messages(redis_client) == []


def test_an_insert_just_before_the_minute_counts(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    """The scheduler hears of the new pair only after the moment, and after it has fired it for others."""
    set_clock(db, BEFORE)
    schedule(db, OTHER, "0 12 * * *")
    leader = start()
    work(leader)
    set_clock(db, "2026-11-24 11:59:59.999+00")
    schedule(db, MODEL, "* * * * *")
    set_clock(db, NOON)
    work(leader)

    assert sorted(moments(redis_client)) == sorted([(OTHER, "12:00"), (MODEL, "12:00")])
    assert rows(db, "SELECT crons, models FROM fires") == [(2, 2)]


def test_an_outage_is_made_up_once_by_the_latest_moment(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "* * * * *")
    schedule(db, OTHER, "30 * * * *")
    work(start())
    set_clock(db, "2026-11-24 14:10:20+00")
    schedule(db, "00000000-0000-4000-8000-000000000001", "* * * * *")  # was not there when the moment passed

    work(start())

    assert moments(redis_client) == [(MODEL, "14:10"), (OTHER, "13:30")]
    assert rows(db, "SELECT to_char(due_at AT TIME ZONE 'UTC', 'HH24:MI'), models, skipped FROM fires ORDER BY 1") == [
        ("13:30", 1, 1),
        ("14:10", 1, 130),
    ]


def test_what_is_due_now_goes_before_what_was_missed(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "30 12 * * *")
    schedule(db, OTHER, "0 13 * * *")
    work(start())
    set_clock(db, "2026-11-24 13:00:01+00")
    work(start())

    assert moments(redis_client) == [(OTHER, "13:00"), (MODEL, "12:30")]


def test_a_moment_missed_too_long_ago_is_only_counted(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 12 * * *")
    schedule(db, OTHER, "0 12 24 11 *")
    work(start())
    set_clock(db, "2026-12-04 11:00:00+00")

    work(start(CATCH_UP="7"))

    assert moments(redis_client) == [(MODEL, "12:00")]
    assert rows(db, "SELECT due_at::date::text, models, skipped FROM fires ORDER BY 1") == [
        ("2026-11-24", 0, 1),
        ("2026-12-03", 1, 9),
    ]
    assert one(db, "SELECT max(next_due_at)::date::text FROM crons") == "2027-11-24"


def test_a_crash_between_sending_and_recording_repeats_and_never_loses(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    work(start())
    set_clock(db, NOON)
    run(db, "REVOKE INSERT ON fires FROM metrics_scheduler")
    work(start())
    run(db, "GRANT INSERT ON fires TO metrics_scheduler")

    work(start())

    assert moments(redis_client) == [(MODEL, "12:00"), (MODEL, "12:00")]


def test_a_stale_leader_turns_nothing_back(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    stale = start()
    work(stale)
    set_clock(db, NOON)
    noon = one(db, f"SELECT '{NOON}'::timestamptz")
    fires = stale._due_runs  # noqa: SLF001  # it stops in the middle of a fire
    fires.fire(noon, noon)
    work(start())
    set_clock(db, "2026-11-24 12:01:00+00")
    work(start())

    fires.record_sent()
    work(stale)

    assert one(db, "SELECT next_due_at FROM crons").isoformat() == "2026-11-24T12:02:00+00:00"
    assert set(moments(redis_client)) == {(MODEL, "12:00"), (MODEL, "12:01")}


def test_redis_that_forgot_everything_gets_the_last_moment_of_every_pair_again(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 12 * * *")
    schedule(db, OTHER, "* * * * *")
    leader = start()
    work(leader)
    live_through(db, leader, "12:00", "12:01")
    redis_client.flushall()
    work(leader)

    assert moments(redis_client) == [(OTHER, "12:01"), (MODEL, "12:00")]
    work(leader)
    assert moments(redis_client) == []


def test_redis_that_forgot_the_last_minutes_gets_them_again(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    live_through(db, leader, "12:00", "12:01", "12:02", "12:03")
    redis_client.delete(QUEUE)
    redis_client.set(CHECKPOINT_KEY, "2026-11-24T12:01:00+00:00")

    work(start())

    assert moments(redis_client) == [(MODEL, "12:03"), (MODEL, "12:02")]


def test_redis_that_forgets_while_messages_are_sent_gets_them_again(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    set_clock(db, NOON)
    work(leader)
    drain_queue(redis_client)
    send = leader._due_runs.send  # noqa: SLF001  # Redis restarts behind it

    def send_and_forget(due_at: datetime, now: datetime) -> SentCounts:
        sent_before = send(due_at, now)
        redis_client.flushall()
        return sent_before

    monkeypatch.setattr(leader._due_runs, "send", send_and_forget)  # noqa: SLF001
    set_clock(db, "2026-11-24 12:01:00+00")
    work(leader)

    assert moments(redis_client) == [(MODEL, "12:01")]


@pytest.mark.parametrize("remembered", [None, "2026-11-24T11:59:30+00:00"])
def test_what_redis_forgot_comes_again_although_later_moments_go_first(
    db: Connection, start: Start, redis_client: redis.Redis, remembered: str | None
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    live_through(db, leader, "12:00")
    redis_client.flushall()
    if remembered:
        redis_client.set(CHECKPOINT_KEY, remembered)

    live_through(db, leader, "12:01")

    assert moments(redis_client) == [(MODEL, "12:01"), (MODEL, "12:00")]


def half_restored(db: Connection, start: Start, redis_client: redis.Redis) -> Leader:
    """Return a leader whose Redis lost everything, and has got one of its two moments again."""
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 12 * * *")
    schedule(db, OTHER, "* * * * *")
    leader = start()
    work(leader)
    live_through(db, leader, "12:00", "12:01")
    redis_client.flushall()
    leader.step()
    assert moments(redis_client) == [(OTHER, "12:01")]
    return leader


def test_redis_that_forgets_again_while_it_gets_what_it_forgot(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    leader = half_restored(db, start, redis_client)
    redis_client.flushall()

    work(leader)

    assert moments(redis_client) == [(OTHER, "12:01"), (MODEL, "12:00")]


def test_redis_that_forgets_while_it_gets_what_it_forgot_and_another_leader_goes_on(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    half_restored(db, start, redis_client)

    work(start())

    assert moments(redis_client) == [(OTHER, "12:01"), (MODEL, "12:00")]


def test_a_catch_up_of_an_older_moment_that_redis_lost_is_sent_again(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    """And only that: what was skipped stays skipped, and what Redis had is not sent again."""
    set_clock(db, BEFORE)
    schedule(db, MODEL, "*/10 12 * * *")
    schedule(db, OTHER, "* * * * *")
    work(start())
    set_clock(db, "2026-11-24 12:35:20+00")
    leader = start()
    leader.step()
    while moments(redis_client) != [(OTHER, "12:35")]:
        leader.step()
    marker: Any = redis_client.get(CHECKPOINT_KEY)
    work(leader)
    assert moments(redis_client) == [(MODEL, "12:30")]
    redis_client.set(CHECKPOINT_KEY, marker)

    work(leader)

    assert moments(redis_client) == [(MODEL, "12:30")]


def test_a_redis_that_is_days_behind_delays_no_moment(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    """What it gets again, it gets moment by moment, and whatever is due goes first."""
    set_clock(db, BEFORE)
    for number, model_id in enumerate(model_ids(60)):
        schedule(db, model_id, f"*/{number + 1} * * * *" if number < 59 else "* * * * *")
    leader = start(CATCH_UP="7")
    work(leader)
    live_through(db, leader, "12:00")
    run(
        db,
        "INSERT INTO fires (due_at, fired_at, finished_at, leader)"
        " SELECT moment, moment, moment, 'before' FROM generate_series("
        " '2026-11-18 12:00+00'::timestamptz, '2026-11-24 11:59+00', interval '1 minute') AS moment",
    )
    run(db, "SET session_replication_role = replica; UPDATE metrics_executions SET active_since = '2026-11-01'")
    drain_queue(redis_client)
    redis_client.set(CHECKPOINT_KEY, "2026-11-18T12:00:00+00:00")
    started = time.monotonic()
    for _ in range(5):
        leader.step()
    assert [due_at for _, due_at in moments(redis_client)][-1] == "11:56"
    set_clock(db, "2026-11-24 12:01:00+00")

    leader.step()

    assert time.monotonic() - started < 3
    assert {due_at for _, due_at in moments(redis_client)} == {"12:01"}


@pytest.mark.parametrize("marker", ["nonsense", "2026-11-24", "2026-11-24T12:00:00", "/", "5/5"])
def test_a_strange_marker_is_taken_for_none(
    db: Connection, start: Start, redis_client: redis.Redis, marker: str
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    live_through(db, leader, "12:00", "12:01")
    drain_queue(redis_client)
    redis_client.set(CHECKPOINT_KEY, marker)

    work(leader)

    assert moments(redis_client) == [(MODEL, "12:01")]
    assert redis_client.get(CHECKPOINT_KEY) == b"2026-11-24T12:01:00+00:00"


def test_what_was_sent_longer_ago_than_the_log_goes_back_comes_again(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 12 * * *")
    leader = start()
    work(leader)
    live_through(db, leader, "12:00")
    run(db, "DELETE FROM fires")
    redis_client.flushall()

    work(start())

    assert moments(redis_client) == [(MODEL, "12:00")]


def test_an_empty_redis_of_a_system_without_schedules_is_mentioned_once(
    db: Connection, start: Start, redis_client: redis.Redis, caplog: pytest.LogCaptureFixture
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    live_through(db, leader, "12:00")
    run(db, "DELETE FROM metrics_executions; DELETE FROM crons")
    redis_client.flushall()

    work(leader)
    work(leader)

    said = [record.message for record in caplog.records if "times again" in record.message]
    assert len(said) == 1
    assert "publishing 0 due times again" in said[0]


@pytest.mark.parametrize("payload", ["nonsense", "[]", "{}", '{"pairs": 5}', '{"pairs": [1]}', '{"pairs": [["a", 5]]}'])
def test_strange_announcements_do_no_harm(db: Connection, start: Start, payload: str) -> None:
    leader = start()
    run(db, "SELECT pg_notify('metrics_executions', %s)", payload)
    schedule(db)

    work(leader)

    assert one(db, "SELECT cron_expression FROM crons") == "* * * * *"


def test_a_full_queue_gets_nothing_more_and_the_latest_moment_stands_in(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start(QUEUE_LIMIT="2")
    work(leader)
    redis_client.lpush(QUEUE, "{}", "{}", "{}")
    live_through(db, leader, "12:00", "12:01", "12:02")
    assert redis_client.llen(QUEUE) == 3
    assert one(db, "SELECT error FROM leader") == "3 messages wait in Redis; QUEUE_LIMIT is 2"

    redis_client.delete(QUEUE)
    work(leader)

    assert moments(redis_client) == [(MODEL, "12:02")]
    assert one(db, "SELECT sum(skipped) FROM fires") == 2
    assert one(db, "SELECT error FROM leader") is None


def test_a_redis_that_is_nearly_full_gets_nothing_more(
    db: Connection, start: Start, redis_client: redis.Redis, nearly_full: None
) -> None:
    """What is left is for the workers: they need some to take a message and to store a result."""
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    set_clock(db, NOON)
    work(leader)
    assert published_messages(redis_client) == []
    assert "Redis is nearly full" in one(db, "SELECT error FROM leader")

    redis_client.config_set("maxmemory", 0)
    work(leader)

    assert moments(redis_client) == [(MODEL, "12:00")]
    assert one(db, "SELECT error FROM leader") is None


@pytest.fixture
def nearly_full(redis_client: redis.Redis) -> Iterator[None]:
    used: Any = redis_client.info("memory")
    redis_client.config_set("maxmemory", int(used["used_memory"] * 1.05))
    yield
    redis_client.config_set("maxmemory", 0)


def request_run(db: Connection) -> None:
    run(db, "UPDATE metrics_executions SET run_requested_at = now()")


def requested(db: Connection) -> bool:
    return bool(one(db, "SELECT count(*) FROM metrics_executions WHERE run_requested_at IS NOT NULL"))


def test_a_requested_run_is_sent_at_once_and_cleared_when_redis_has_kept_it(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_clock(db, "2026-11-24 11:59:30.123456+00")
    schedule(db)
    run(db, "UPDATE metrics_executions SET enabled = false")
    leader = start()
    work(leader)

    monkeypatch.setattr(run_requests, "PERSIST_TIME", math.inf)
    request_run(db)
    work(leader)

    assert published_messages(redis_client) == [
        {"model_ids": [MODEL], "due_at": "2026-11-24T11:59:30.123+00:00", "requested": True, "alone": False}
    ]
    assert requested(db)
    monkeypatch.setattr(run_requests, "PERSIST_TIME", 0.0)
    work(leader)
    assert not requested(db)
    assert len(published_messages(redis_client)) == 1


def test_a_requested_run_that_redis_lost_within_its_last_second_is_sent_again(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_requests, "PERSIST_TIME", math.inf)  # it is cleared by and by, and this machine may be slow
    set_clock(db, BEFORE)
    schedule(db, MODEL)
    schedule(db, OTHER)
    leader = start()
    work(leader)
    live_through(db, leader, "12:00")
    drain_queue(redis_client)
    marker: Any = redis_client.get(CHECKPOINT_KEY)

    set_clock(db, "2026-11-24 12:00:10+00")
    run(db, "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s", MODEL)
    work(leader)
    redis_client.delete(QUEUE)
    redis_client.set(CHECKPOINT_KEY, marker)
    work(leader)

    assert [(message["model_ids"], message["requested"]) for message in published_messages(redis_client)] == [
        ([MODEL], True)
    ]


def test_a_request_whose_row_is_locked_is_sent_once_and_cleared_later(
    db: Connection, start: Start, database_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_requests, "PERSIST_TIME", 0.0)
    monkeypatch.setattr(run_requests, "CLEAR_INTERVAL", 0.0)
    schedule(db)
    request_run(db)
    user = psycopg2.connect(database_url)
    run(user, "SELECT FROM metrics_executions FOR UPDATE")
    leader = start()

    work(leader)
    work(leader)
    assert requested(db)
    user.rollback()  # close() does not wait until the server has let go of the row
    user.close()
    work(leader)

    assert len(published_messages(redis_client)) == 1
    assert not requested(db)


def test_a_bad_row_that_got_past_the_gate_costs_only_itself(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    with past_the_triggers(db):
        schedule(db, OTHER, "R R * * *")
        run(db, "UPDATE metrics_executions SET active_since = '2026-11-24 11:00:00+00'")
    schedule(db, MODEL)
    leader = start()
    work(leader)
    set_clock(db, NOON)
    work(leader)

    assert moments(redis_client) == [(MODEL, "12:00")]
    assert "R R * * *" in one(db, "SELECT error FROM crons WHERE cron_expression = 'R R * * *'")
    assert one(db, "SELECT status FROM schedule_status WHERE model_id = %s", OTHER) == "error"

    run(db, "UPDATE metrics_executions SET cron_expression = '1 12 * * *' WHERE model_id = %s", OTHER)
    set_clock(db, "2026-11-24 12:01:00+00")
    work(leader)
    assert (OTHER, "12:01") in moments(redis_client)


def test_a_lost_announcement_is_found_by_the_next_full_look(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    leader = start()
    work(leader)
    run(db, "ALTER TABLE metrics_executions DISABLE TRIGGER check_and_announce_insert")
    schedule(db)
    run(db, "ALTER TABLE metrics_executions ENABLE TRIGGER check_and_announce_insert")
    work(leader)
    assert rows(db, "SELECT FROM crons") == []

    monkeypatch.setattr(next_runs, "SCAN_INTERVAL", 0.0)
    leader.step()

    assert one(db, "SELECT count(*) FROM crons") == 1


def test_an_import_of_many_pairs_does_not_delay_a_moment(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    run(
        db,
        "INSERT INTO metrics_executions (model_id, cron_expression)"
        " SELECT gen_random_uuid(), minute || ' ' || hour || ' * * *'"
        " FROM generate_series(0, 59) AS minute, generate_series(13, 22) AS hour",
    )
    leader.step()
    assert one(db, "SELECT count(*) FROM crons") < 600
    set_clock(db, NOON)

    leader.step()
    assert moments(redis_client) == [(MODEL, "12:00")]
    work(leader)
    assert one(db, "SELECT count(*) FROM crons") == 601


def test_a_moment_of_many_pairs_is_recorded_once_and_in_portions(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(due_runs, "RECORD_BATCH", 2)
    set_clock(db, BEFORE)
    for number, model_id in enumerate(model_ids(5), 1):
        schedule(db, model_id, f"0 12 * 1-12/{number} *" if number < 5 else "0 12 24 11 *")
    leader = start()
    work(leader)
    run(db, "UPDATE crons SET next_due_at = %s", NOON)
    set_clock(db, NOON)

    work(leader)

    assert rows(db, "SELECT crons, models, messages FROM fires") == [(5, 5, 1)]
    assert one(db, "SELECT min(next_due_at) > %s FROM crons", NOON)
    assert len(moments(redis_client)) == 5


def test_pairs_that_nobody_uses_go_in_portions(db: Connection, start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_runs, "BATCH_SIZE", 2)
    set_clock(db, BEFORE)
    for number, model_id in enumerate(model_ids(5)):
        schedule(db, model_id, f"{number} * * * *")
    leader = start()
    work(leader)
    run(db, "DELETE FROM metrics_executions WHERE cron_expression <> '3 * * * *'")

    monkeypatch.setattr(leader_module, "CLEANUP_INTERVAL", 0.0)
    work(leader)

    assert rows(db, "SELECT cron_expression FROM crons") == [("3 * * * *",)]


def test_new_time_zone_data_move_what_is_not_due_yet(db: Connection, start: Start) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 12 * * *")
    schedule(db, OTHER, "30 12 * * *", "Europe/London")
    work(start())
    run(db, "UPDATE crons SET tzdata_version = '1999.1', next_due_at = '2026-11-24 13:45+00' WHERE timezone = 'UTC'")

    work(start())

    assert rows(db, "SELECT next_due_at::text, tzdata_version FROM crons ORDER BY 1") == [
        ("2026-11-24 12:00:00+00", TZDATA_VERSION),
        ("2026-11-24 12:30:00+00", TZDATA_VERSION),
    ]


def test_new_time_zone_data_take_nothing_back_that_is_due(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 13 * * *")
    work(start())
    run(db, "UPDATE crons SET tzdata_version = '1999.1', next_due_at = '2026-11-24 12:00+00'")
    set_clock(db, NOON)

    work(start())

    assert moments(redis_client) == [(MODEL, "12:00")]
    assert rows(db, "SELECT next_due_at::text, tzdata_version FROM crons") == [
        ("2026-11-24 13:00:00+00", TZDATA_VERSION)
    ]


def test_new_time_zone_data_may_know_a_zone_that_the_old_did_not(db: Connection, start: Start) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 12 * * *", "Europe/London")
    run(
        db,
        "INSERT INTO crons (cron_expression, timezone, error, tzdata_version)"
        " VALUES ('0 12 * * *', 'Europe/London', 'unknown', '1999.1')",
    )

    work(start())

    assert rows(db, "SELECT next_due_at::text, error FROM crons") == [("2026-11-24 12:00:00+00", None)]


def test_it_notes_that_it_leads(db: Connection, start: Start) -> None:
    set_clock(db, NOON)

    start()

    [row] = rows(db, "SELECT name, since, looked_at, error FROM leader")
    assert row[0] == "tests"
    assert row[1] == row[2] == one(db, f"SELECT '{NOON}'::timestamptz")
    assert row[3] is None
