"""Each time that a user was given for a run is sent: however many ask, and whatever is away."""

from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
import redis

from core.queue.keys import CHECKPOINT_KEY, QUEUE
from scheduler.tasks import run_requests
from tests.integration.scheduler.conftest import BEFORE, NOON, Start, work
from tests.support.celery_queue import drain_queue, published_messages
from tests.support.databases import MODEL, OTHER, Connection, one, rows, run, schedule, schedule_many, set_clock


def request_run(db: Connection) -> datetime:
    """Ask as the API does, and return the time that it gives."""
    statement = "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = %s RETURNING run_requested_at"
    requested_at: datetime = one(db, statement, MODEL)
    return requested_at.astimezone(UTC)


def due_times(messages: list[dict[str, Any]]) -> list[datetime]:
    return [datetime.fromisoformat(message["due_at"]) for message in messages]


def test_requests_that_are_not_sent_yet_are_one(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    schedule(db, MODEL, "0 0 1 1 *")

    given = {request_run(db) for _ in range(8)}
    work(start())

    assert set(due_times(published_messages(redis_client))) == given
    assert len(given) == 1


def test_a_request_after_one_that_was_sent_is_another(db: Connection, start: Start, redis_client: redis.Redis) -> None:
    """A newer label row may have come since then, though the row of the schedule still holds the first request."""
    schedule(db, MODEL, "0 0 1 1 *")
    leader = start()
    given = []
    for _ in range(6):
        given.append(request_run(db))
        work(leader)

    assert due_times(published_messages(redis_client)) == given
    assert len(set(given)) == 6


def test_two_requests_by_a_clock_that_stands_still_have_two_times(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db, MODEL, "0 0 1 1 *")
    leader = start()
    given = []
    for _ in range(3):
        given.append(request_run(db))
        work(leader)

    assert due_times(published_messages(redis_client)) == given
    assert len(set(given)) == 3


def test_what_one_leader_took_over_and_did_not_send_the_next_one_sends(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    """Even where another request has taken its place in the row of the schedule."""
    schedule(db, MODEL, "0 0 1 1 *")
    leader = start()
    work(leader)
    first = request_run(db)
    rows(db, run_requests.ACCEPT % {"limit": 10})  # and then it dies
    second = request_run(db)

    work(start())

    assert due_times(published_messages(redis_client)) == [first, second]
    assert first != second


def test_a_request_that_redis_lost_is_sent_again_though_another_one_has_replaced_it(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    leader = start()
    work(leader)
    set_clock(db, NOON)
    work(leader)
    drain_queue(redis_client)
    marker: Any = redis_client.get(CHECKPOINT_KEY)
    first = request_run(db)
    work(leader)
    second = request_run(db)
    work(leader)
    redis_client.delete(QUEUE)
    redis_client.set(CHECKPOINT_KEY, marker)

    work(leader)

    assert set(due_times(published_messages(redis_client))) >= {first, second}


def test_a_request_that_waits_is_not_taken_back_by_a_row_that_was_read_before_it(
    db: Connection, start: Start, redis_client: redis.Redis
) -> None:
    """Programs that save all columns of a row write null, or an older value."""
    schedule(db, MODEL, "0 0 1 1 *")
    given = request_run(db)
    run(db, "UPDATE metrics_executions SET name = 'other', run_requested_at = NULL")
    work(start())

    assert due_times(published_messages(redis_client)) == [given]


def test_a_value_that_is_written_back_is_no_request(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_requests, "PERSIST_TIME", 0.0)
    schedule(db, MODEL, "0 0 1 1 *")
    read = request_run(db)
    leader = start()
    work(leader)
    assert one(db, "SELECT run_requested_at FROM metrics_executions") is None

    run(db, "UPDATE metrics_executions SET name = 'other', run_requested_at = %s", read)
    assert one(db, "SELECT run_requested_at FROM metrics_executions") is None
    given = request_run(db)
    run(db, "UPDATE metrics_executions SET name = 'another', run_requested_at = %s", read)
    work(leader)

    assert due_times(published_messages(redis_client)) == [read, given]


def test_a_role_without_rights_to_the_requests_of_others_may_ask_for_a_run(db: Connection, database_url: str) -> None:
    schedule(db)
    run(db, "DROP ROLE IF EXISTS asker; CREATE ROLE asker LOGIN;"
            " GRANT SELECT, UPDATE (run_requested_at) ON metrics_executions TO asker")  # fmt: skip
    try:
        with closing(psycopg2.connect(database_url)) as asker:
            run(asker, "SET SESSION AUTHORIZATION asker")
            run(asker, "UPDATE metrics_executions SET run_requested_at = now()")
            with pytest.raises(psycopg2.errors.InsufficientPrivilege):
                rows(asker, "SELECT * FROM run_requests")
    finally:
        run(db, "DROP OWNED BY asker; DROP ROLE asker")


def test_many_requests_are_sent_and_cleared_in_portions_and_hold_no_due_time_up(
    db: Connection, start: Start, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(run_requests, "PERSIST_TIME", 0.0)
    monkeypatch.setattr(run_requests, "BATCH_SIZE", 50)
    set_clock(db, BEFORE)
    schedule(db, OTHER, "0 12 * * *")
    leader = start()
    work(leader)
    schedule_many(db, 500, "0 0 1 1 *")
    run(db, "UPDATE metrics_executions SET run_requested_at = now() WHERE model_id <> %s", OTHER)
    for _ in range(3):
        leader.step()
    assert len(published_messages(redis_client)) < 50
    set_clock(db, NOON)
    leader.step()

    assert published_messages(redis_client)[-1]["model_ids"] == [OTHER]
    work(leader)
    ran = [model for message in published_messages(redis_client) for model in message["model_ids"]]
    assert len(ran) == len(set(ran)) == 501
    assert one(db, "SELECT count(run_requested_at) FROM metrics_executions") == 0


def test_old_requests_are_deleted(db: Connection, start: Start) -> None:
    run(
        db,
        "INSERT INTO run_requests SELECT gen_random_uuid(), schedule_now() - interval '2 days',"
        " CASE WHEN n > 1 THEN schedule_now() - interval '25 hours' END FROM generate_series(1, 2500) AS n",
    )
    leader = start()
    work(leader)
    leader._cleaned_up_at -= 1000  # noqa: SLF001  # the next round comes at once
    work(leader)

    assert one(db, "SELECT count(*) FROM run_requests") == 1
