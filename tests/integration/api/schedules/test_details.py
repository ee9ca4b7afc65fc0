"""GET of one schedule: next due times, last fire and result, and why it did not run."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from flask.testing import FlaskClient

from api.main import create_app
from api.settings import Settings
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY
from core.results.models import Result
from core.results.repository import ResultStore
from core.timestamps import iso
from tests.support.api_responses import problem
from tests.support.databases import MODEL, Connection, Databases, execute, schedule, set_clock

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HEARTBEAT = "UPDATE leader SET name = 'here:1', since = schedule_now(), looked_at = schedule_now()"
INSERT_FIRE = """
    INSERT INTO fires VALUES
        ('2026-11-24 12:00+00', '2026-11-24 12:00:00.005+00', '2026-11-24 12:00:00.205+00', 2, 1000, 10, {}, 'here:1')
"""
INSERT_CRON_SPEC = "INSERT INTO crons SELECT cron_expression, timezone, {}, {}, NULL, 'x' FROM metrics_executions"


@pytest.fixture
def fired(db: Connection) -> Connection:
    """A schedule created at 11:30 and fired at noon, at 12:00:30."""
    set_clock(db, "2026-11-24 11:30:00+00")
    schedule(db)
    set_clock(db, "2026-11-24 12:00:30+00")
    execute(db, INSERT_CRON_SPEC.format("'2026-11-24 12:01+00'", "'2026-11-24 12:00+00'"))
    execute(db, INSERT_FIRE.format(0))
    execute(db, HEARTBEAT)
    return db


def save(client: redis.Redis, due_at: datetime = NOON) -> Result:
    result = Result(MODEL, due_at, due_at + timedelta(milliseconds=9), "ok", 0.5, 2, 7, NOON)
    ResultStore(client).save([result])
    return result


def get_details(client: FlaskClient) -> Any:
    response: Any = client.get(f"/schedule/{MODEL}")
    assert response.status_code == 200, response.text
    return response.json


def test_details_of_a_schedule_that_runs(client: FlaskClient, fired: Connection, redis_client: redis.Redis) -> None:
    result = save(redis_client)

    assert get_details(client) == {
        "model_id": MODEL,
        "name": None,
        "cron_expression": "* * * * *",
        "timezone": "UTC",
        "enabled": True,
        "status": "scheduled",
        "next_run_at": "2026-11-24T12:01:00Z",
        "last_run_at": "2026-11-24T12:00:00Z",
        "error": None,
        "created_at": "2026-11-24T11:30:00Z",
        "updated_at": "2026-11-24T11:30:00Z",
        "description": "Every minute",
        "next_fires": [
            {
                "at": f"2026-11-24T12:0{minute}:00Z",
                "local": f"2026-11-24T12:0{minute}:00+00:00",
                "daylight_saving": None,
                "stands_for": [],
            }
            for minute in range(1, 6)
        ],
        "last_fire": {
            "due_at": "2026-11-24T12:00:00Z",
            "lag_seconds": 0.005,
            "duration_seconds": 0.2,
            "models": 1000,
            "skipped": 0,
        },
        "last_result": result.as_dict(),
        "reason": None,
    }


def test_next_fires_span_a_dst_transition(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-03-28 12:00:00+00")
    schedule(db, MODEL, "0,30 2 * * *", "Europe/Warsaw")

    first, second, *_ = fires = get_details(client)["next_fires"]

    assert len(fires) == 5
    assert first == {
        "at": "2026-03-29T01:00:00Z",
        "local": "2026-03-29T03:00:00+02:00",
        "daylight_saving": "merged",
        "stands_for": ["2026-03-29T02:00:00", "2026-03-29T02:30:00"],
    }
    assert (second["at"], second["local"]) == ("2026-03-30T00:00:00Z", "2026-03-30T02:00:00+02:00")


def test_first_of_the_next_fires_is_the_next_run(client: FlaskClient, db: Connection) -> None:
    """Also a millisecond before it, and at it."""
    schedule(db)
    for now, next_due in (("12:00:59.999", "12:01"), ("12:01:00", "12:02")):
        set_clock(db, f"2026-11-24 {now}+00")
        execute(db, "UPDATE metrics_executions SET enabled = NOT enabled; UPDATE metrics_executions SET enabled = true")

        response = get_details(client)

        assert response["next_run_at"] == response["next_fires"][0]["at"] == f"2026-11-24T{next_due}:00Z"


def test_reason_of_a_paused_schedule(client: FlaskClient, fired: Connection, redis_client: redis.Redis) -> None:
    """It has no last fire any more; its results stay."""
    result = save(redis_client)
    execute(fired, "UPDATE metrics_executions SET enabled = false")

    response = get_details(client)

    assert (response["status"], response["reason"]) == ("paused", "it is paused")
    assert (response["next_run_at"], response["next_fires"], response["last_fire"]) == (None, [], None)
    assert response["description"] == "Every minute"
    assert response["last_result"] == result.as_dict()


def test_error_of_the_scheduler_is_the_reason(client: FlaskClient, fired: Connection) -> None:
    execute(fired, "UPDATE crons SET next_due_at = NULL, error = 'cannot be fired'")

    response = get_details(client)

    assert (response["status"], response["error"], response["reason"]) == (
        "error",
        "cannot be fired",
        "cannot be fired",
    )
    assert (response["next_run_at"], response["next_fires"]) == (None, [])


@pytest.mark.parametrize(("cron", "zone"), [("R R * * *", "UTC"), ("0 0 31 2 *", "UTC"), ("* * * * *", "Mars/City")])
def test_reason_of_an_invalid_row_is_its_error(client: FlaskClient, db: Connection, cron: str, zone: str) -> None:
    """It has a description only if the expression is valid."""
    execute(db, "SET session_replication_role = replica")
    schedule(db, MODEL, cron, zone)

    response = get_details(client)

    assert response["status"] == "error"
    assert cron in response["error"] or zone in response["error"]
    assert response["reason"] == response["error"]
    assert response["description"] == ("Every minute" if zone != "UTC" else None)
    assert (response["next_run_at"], response["next_fires"]) == (None, [])


def test_time_zone_unknown_to_the_api_has_no_next_fires(client: FlaskClient, fired: Connection) -> None:
    """The scheduler may have newer time zone data than the API, or those of another system."""
    execute(fired, "SET session_replication_role = replica")
    execute(fired, "UPDATE metrics_executions SET timezone = 'Mars/City'; UPDATE crons SET timezone = 'Mars/City'")

    response = get_details(client)

    assert (response["status"], response["next_run_at"], response["error"]) == (
        "scheduled",
        "2026-11-24T12:01:00Z",
        None,
    )
    assert response["next_fires"] == []


@pytest.mark.parametrize(
    ("leader", "reason"),
    [
        ("UPDATE leader SET looked_at = NULL", "no scheduler has ever looked for due models"),
        (
            f"{HEARTBEAT}; UPDATE leader SET looked_at = looked_at - interval '31 s'",
            "no scheduler has looked for due models since 2026-11-24T11:59:59Z (here:1 led)",
        ),
        (f"{HEARTBEAT}; UPDATE leader SET error = 'Redis: gone'", "the scheduler cannot send: Redis: gone"),
        (HEARTBEAT, "the scheduler has not read it yet"),
    ],
)
def test_reason_of_a_new_schedule(client: FlaskClient, db: Connection, leader: str, reason: str) -> None:
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)
    execute(db, leader)

    response = get_details(client)

    assert (response["status"], response["reason"]) == ("new", reason)
    assert response["next_fires"][0]["at"] == response["next_run_at"] == "2026-11-24T12:01:00Z"


@pytest.mark.parametrize(
    ("leader", "reason"),
    [
        (HEARTBEAT, "it is being sent"),
        (
            "UPDATE leader SET name = 'here:1', looked_at = '2026-11-24 12:00+00', error = 'Redis: gone'",
            "no scheduler has looked for due models since 2026-11-24T12:00:00Z (here:1 led);"
            " the scheduler cannot send: Redis: gone",
        ),
    ],
)
def test_reason_of_a_late_schedule(client: FlaskClient, fired: Connection, leader: str, reason: str) -> None:
    set_clock(fired, "2026-11-24 12:01:31+00")
    execute(fired, leader)

    response = get_details(client)

    assert response["status"] == "late"
    assert response["reason"] == f"its due time 2026-11-24T12:01:00Z has passed: {reason}"


def test_schedule_before_its_first_due_time_has_no_fire(client: FlaskClient, db: Connection) -> None:
    """Its cron spec fired before, for other schedules."""
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)
    execute(db, INSERT_CRON_SPEC.format("'2026-11-24 12:01+00'", "'2026-11-24 12:00+00'") + ";" + INSERT_FIRE.format(0))

    response = get_details(client)

    assert (response["status"], response["last_run_at"], response["last_fire"], response["last_result"]) == (
        "scheduled", None, None, None
    )  # fmt: skip
    assert response["reason"] == "its first due time since it was created, changed or resumed is 2026-11-24T12:01:00Z"


def test_schedule_created_while_its_cron_spec_is_late_has_the_due_time_after(
    client: FlaskClient, db: Connection
) -> None:
    """The late due time was before it was created."""
    set_clock(db, "2026-11-24 12:00:10+00")
    schedule(db)
    execute(db, INSERT_CRON_SPEC.format("'2026-11-24 12:00+00'", "'2026-11-24 11:59+00'") + ";" + HEARTBEAT)

    response = get_details(client)

    assert (response["status"], response["next_run_at"]) == ("scheduled", "2026-11-24T12:01:00Z")
    assert response["reason"] == "its first due time since it was created, changed or resumed is 2026-11-24T12:01:00Z"


def test_reason_of_a_missing_result_is_the_state_of_the_queue(
    client: FlaskClient, fired: Connection, redis_client: redis.Redis
) -> None:
    missing = "the run of 2026-11-24T12:00:00Z has no result yet: "
    save(redis_client, NOON - timedelta(minutes=1))
    assert get_details(client)["reason"] == f"{missing}no message of it is left"

    headers = {"due_at": iso(NOON), "queued_at": "2026-11-24T12:00:00.010+00:00"}
    redis_client.lpush(QUEUE, json.dumps({"headers": headers}))
    waiting = "1 message waits for the workers, the next one since 2026-11-24T12:00:00.010000Z"
    assert get_details(client)["reason"] == missing + waiting

    redis_client.zadd(UNACKED_INDEX_KEY, {"a message": NOON.timestamp()})
    taken = "workers have taken 1 message and not finished, the oldest since 2026-11-24T12:00:00Z"
    assert get_details(client)["reason"] == f"{missing}{waiting}; {taken}"

    save(redis_client)
    assert get_details(client)["reason"] is None


@pytest.mark.parametrize(("skipped", "missed"), [(1, "1 due time was missed"), (3, "3 due times were missed")])
def test_reason_after_missed_due_times(
    client: FlaskClient, fired: Connection, redis_client: redis.Redis, skipped: int, missed: str
) -> None:
    """fires counts them for all crons of a due time, so none of them needs to be of this schedule."""
    save(redis_client)
    execute(fired, "UPDATE fires SET skipped = %s", skipped)

    response = get_details(client)

    assert response["last_fire"]["skipped"] == skipped
    reason = f"{missed} before 2026-11-24T12:00:00Z, of all crons that were due then, and it stands for them"
    assert response["reason"] == reason


def test_deleted_fire_is_null(client: FlaskClient, fired: Connection, redis_client: redis.Redis) -> None:
    save(redis_client)
    execute(fired, "DELETE FROM fires")

    response = get_details(client)

    assert (response["last_run_at"], response["last_fire"], response["reason"]) == ("2026-11-24T12:00:00Z", None, None)


def test_unfinished_and_skipped_fires_have_no_durations(client: FlaskClient, fired: Connection) -> None:
    execute(fired, "UPDATE fires SET finished_at = NULL")
    last_fire = get_details(client)["last_fire"]
    assert (last_fire["lag_seconds"], last_fire["duration_seconds"]) == (0.005, None)

    execute(fired, "UPDATE fires SET fired_at = NULL")
    last_fire = get_details(client)["last_fire"]
    assert (last_fire["lag_seconds"], last_fire["duration_seconds"]) == (None, None)


def test_result_of_a_requested_run_is_the_last_one(
    client: FlaskClient, fired: Connection, redis_client: redis.Redis
) -> None:
    save(redis_client)
    requested = save(redis_client, NOON + timedelta(seconds=20, milliseconds=1))

    response = get_details(client)

    assert (response["last_result"], response["reason"]) == (requested.as_dict(), None)


def test_details_are_unavailable_without_redis(databases: Databases, database_url: str, db: Connection) -> None:
    """A response without the last result would look like that of a model without results."""
    schedule(db)
    env = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": "redis://127.0.0.1:9/0"}
    client = create_app(Settings.from_env(env)).test_client()

    response: Any = client.get(f"/schedule/{MODEL}")

    assert problem(response) == (503, "unavailable")
    assert response.json["detail"] == "Redis does not answer at present; try again in a moment."
    assert client.put(f"/schedule/{MODEL}", json={"cron_expression": "@daily"}).status_code == 200
    assert client.delete(f"/schedule/{MODEL}").status_code == 204
