"""GET of one schedule: what comes next, what came of the last time, and why nothing did where nothing did."""

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
from tests.support.databases import MODEL, Connection, Databases, run, schedule, set_clock

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
SEEN = "UPDATE leader SET name = 'here:1', since = schedule_now(), looked_at = schedule_now()"
FIRED = """
    INSERT INTO fires VALUES
        ('2026-11-24 12:00+00', '2026-11-24 12:00:00.005+00', '2026-11-24 12:00:00.205+00', 2, 1000, 10, {}, 'here:1')
"""
PAIR = "INSERT INTO crons SELECT cron_expression, timezone, {}, {}, NULL, 'x' FROM metrics_executions"


@pytest.fixture
def fired(db: Connection) -> Connection:
    """A schedule of 11:30 that was sent at noon, at 12:00:30."""
    set_clock(db, "2026-11-24 11:30:00+00")
    schedule(db)
    set_clock(db, "2026-11-24 12:00:30+00")
    run(db, PAIR.format("'2026-11-24 12:01+00'", "'2026-11-24 12:00+00'") + ";" + FIRED.format(0) + ";" + SEEN)
    return db


def save(client: redis.Redis, due_at: datetime = NOON) -> Result:
    result = Result(MODEL, due_at, due_at + timedelta(milliseconds=9), "ok", 0.5, 2, 7, NOON)
    ResultStore(client).save([result])
    return result


def ask(client: FlaskClient) -> Any:
    answer: Any = client.get(f"/schedule/{MODEL}")
    assert answer.status_code == 200, answer.text
    return answer.json


def test_a_schedule_that_fires_says_everything(
    client: FlaskClient, fired: Connection, redis_client: redis.Redis
) -> None:
    result = save(redis_client)

    assert ask(client) == {
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


def test_the_next_fires_lead_over_a_night_of_daylight_saving(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-03-28 12:00:00+00")
    schedule(db, MODEL, "0,30 2 * * *", "Europe/Warsaw")

    first, second, *_ = fires = ask(client)["next_fires"]

    assert len(fires) == 5
    assert first == {
        "at": "2026-03-29T01:00:00Z",
        "local": "2026-03-29T03:00:00+02:00",
        "daylight_saving": "merged",
        "stands_for": ["2026-03-29T02:00:00", "2026-03-29T02:30:00"],
    }
    assert (second["at"], second["local"]) == ("2026-03-30T00:00:00Z", "2026-03-30T02:00:00+02:00")


def test_the_first_of_the_next_fires_is_the_next_run(client: FlaskClient, db: Connection) -> None:
    """Also in the last moment before it, and at it."""
    schedule(db)
    for now, following in (("12:00:59.999", "12:01"), ("12:01:00", "12:02")):
        set_clock(db, f"2026-11-24 {now}+00")
        run(db, "UPDATE metrics_executions SET enabled = NOT enabled; UPDATE metrics_executions SET enabled = true")

        answer = ask(client)

        assert answer["next_run_at"] == answer["next_fires"][0]["at"] == f"2026-11-24T{following}:00Z"


def test_a_paused_schedule_says_so(client: FlaskClient, fired: Connection, redis_client: redis.Redis) -> None:
    """Its fires are nobody's any more; its results stay."""
    result = save(redis_client)
    run(fired, "UPDATE metrics_executions SET enabled = false")

    answer = ask(client)

    assert (answer["status"], answer["reason"]) == ("paused", "it is paused")
    assert (answer["next_run_at"], answer["next_fires"], answer["last_fire"]) == (None, [], None)
    assert answer["description"] == "Every minute"
    assert answer["last_result"] == result.as_dict()


def test_an_error_of_the_scheduler_is_the_reason(client: FlaskClient, fired: Connection) -> None:
    run(fired, "UPDATE crons SET next_due_at = NULL, error = 'cannot be fired'")

    answer = ask(client)

    assert (answer["status"], answer["error"], answer["reason"]) == ("error", "cannot be fired", "cannot be fired")
    assert (answer["next_run_at"], answer["next_fires"]) == (None, [])


@pytest.mark.parametrize(("cron", "zone"), [("R R * * *", "UTC"), ("0 0 31 2 *", "UTC"), ("* * * * *", "Mars/City")])
def test_a_row_that_got_past_the_gate_says_why_it_cannot_fire(
    client: FlaskClient, db: Connection, cron: str, zone: str
) -> None:
    """Whether the scheduler has seen it or not; it has words only where the expression means something."""
    run(db, "SET session_replication_role = replica")
    schedule(db, MODEL, cron, zone)

    answer = ask(client)

    assert answer["status"] == "error"
    assert cron in answer["error"] or zone in answer["error"]
    assert answer["reason"] == answer["error"]
    assert answer["description"] == ("Every minute" if zone != "UTC" else None)
    assert (answer["next_run_at"], answer["next_fires"]) == (None, [])


def test_a_zone_that_only_the_scheduler_knows_has_no_fires_to_show(client: FlaskClient, fired: Connection) -> None:
    """Its time-zone data are newer than those of the API, or of another system."""
    run(fired, "SET session_replication_role = replica")
    run(fired, "UPDATE metrics_executions SET timezone = 'Mars/City'; UPDATE crons SET timezone = 'Mars/City'")

    answer = ask(client)

    assert (answer["status"], answer["next_run_at"], answer["error"]) == ("scheduled", "2026-11-24T12:01:00Z", None)
    assert answer["next_fires"] == []


@pytest.mark.parametrize(
    ("leader", "reason"),
    [
        ("UPDATE leader SET looked_at = NULL", "no scheduler has ever looked for due models"),
        (
            f"{SEEN}; UPDATE leader SET looked_at = looked_at - interval '31 s'",
            "no scheduler has looked for due models since 2026-11-24T11:59:59Z (here:1 led)",
        ),
        (f"{SEEN}; UPDATE leader SET error = 'Redis: gone'", "the scheduler cannot send: Redis: gone"),
        (SEEN, "the scheduler has not read it yet"),
    ],
)
def test_a_new_schedule_says_what_it_waits_for(client: FlaskClient, db: Connection, leader: str, reason: str) -> None:
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)
    run(db, leader)

    answer = ask(client)

    assert (answer["status"], answer["reason"]) == ("new", reason)
    assert answer["next_fires"][0]["at"] == answer["next_run_at"] == "2026-11-24T12:01:00Z"


@pytest.mark.parametrize(
    ("leader", "reason"),
    [
        (SEEN, "it is being sent"),
        (
            "UPDATE leader SET name = 'here:1', looked_at = '2026-11-24 12:00+00', error = 'Redis: gone'",
            "no scheduler has looked for due models since 2026-11-24T12:00:00Z (here:1 led);"
            " the scheduler cannot send: Redis: gone",
        ),
    ],
)
def test_a_late_schedule_says_who_is_late(client: FlaskClient, fired: Connection, leader: str, reason: str) -> None:
    set_clock(fired, "2026-11-24 12:01:31+00")
    run(fired, leader)

    answer = ask(client)

    assert answer["status"] == "late"
    assert answer["reason"] == f"its due time 2026-11-24T12:01:00Z has passed: {reason}"


def test_before_its_first_moment_there_is_nothing_to_show(client: FlaskClient, db: Connection) -> None:
    """Its pair fired before, for others."""
    set_clock(db, "2026-11-24 12:00:30+00")
    schedule(db)
    run(db, PAIR.format("'2026-11-24 12:01+00'", "'2026-11-24 12:00+00'") + ";" + FIRED.format(0))

    answer = ask(client)

    assert (answer["status"], answer["last_run_at"], answer["last_fire"], answer["last_result"]) == (
        "scheduled", None, None, None
    )  # fmt: skip
    assert answer["reason"] == "its first due time since it was created, changed or resumed is 2026-11-24T12:01:00Z"


def test_a_schedule_that_was_made_while_its_pair_was_late_names_the_moment_after(
    client: FlaskClient, db: Connection
) -> None:
    """The moment that is late at present is none of its own."""
    set_clock(db, "2026-11-24 12:00:10+00")
    schedule(db)
    run(db, PAIR.format("'2026-11-24 12:00+00'", "'2026-11-24 11:59+00'") + ";" + SEEN)

    answer = ask(client)

    assert (answer["status"], answer["next_run_at"]) == ("scheduled", "2026-11-24T12:01:00Z")
    assert answer["reason"] == "its first due time since it was created, changed or resumed is 2026-11-24T12:01:00Z"


def test_a_run_without_a_result_says_where_its_message_is(
    client: FlaskClient, fired: Connection, redis_client: redis.Redis
) -> None:
    missing = "the run of 2026-11-24T12:00:00Z has no result yet: "
    save(redis_client, NOON - timedelta(minutes=1))
    assert ask(client)["reason"] == f"{missing}no message of it is left"

    headers = {"due_at": iso(NOON), "queued_at": "2026-11-24T12:00:00.010+00:00"}
    redis_client.lpush(QUEUE, json.dumps({"headers": headers}))
    waiting = "1 message waits for the workers, the next one since 2026-11-24T12:00:00.010000Z"
    assert ask(client)["reason"] == missing + waiting

    redis_client.zadd(UNACKED_INDEX_KEY, {"a message": NOON.timestamp()})
    taken = "workers have taken 1 message and not finished, the oldest since 2026-11-24T12:00:00Z"
    assert ask(client)["reason"] == f"{missing}{waiting}; {taken}"

    save(redis_client)
    assert ask(client)["reason"] is None


@pytest.mark.parametrize(("skipped", "words"), [(1, "1 due time was missed"), (3, "3 due times were missed")])
def test_moments_that_were_missed_are_told(
    client: FlaskClient, fired: Connection, redis_client: redis.Redis, skipped: int, words: str
) -> None:
    """The log counts them for all crons of a moment, so none of them need be of this schedule."""
    save(redis_client)
    run(fired, "UPDATE fires SET skipped = %s", skipped)

    answer = ask(client)

    assert answer["last_fire"]["skipped"] == skipped
    told = f"{words} before 2026-11-24T12:00:00Z, of all crons that were due then, and it stands for them"
    assert answer["reason"] == told


def test_a_fire_whose_log_is_gone_is_none(client: FlaskClient, fired: Connection, redis_client: redis.Redis) -> None:
    save(redis_client)
    run(fired, "DELETE FROM fires")

    answer = ask(client)

    assert (answer["last_run_at"], answer["last_fire"], answer["reason"]) == ("2026-11-24T12:00:00Z", None, None)


def test_a_fire_at_work_and_one_that_was_only_counted_have_no_times(client: FlaskClient, fired: Connection) -> None:
    run(fired, "UPDATE fires SET finished_at = NULL")
    assert (ask(client)["last_fire"]["lag_seconds"], ask(client)["last_fire"]["duration_seconds"]) == (0.005, None)

    run(fired, "UPDATE fires SET fired_at = NULL")
    assert (ask(client)["last_fire"]["lag_seconds"], ask(client)["last_fire"]["duration_seconds"]) == (None, None)


def test_a_result_of_a_run_on_request_is_the_last_one(
    client: FlaskClient, fired: Connection, redis_client: redis.Redis
) -> None:
    save(redis_client)
    requested = save(redis_client, NOON + timedelta(seconds=20, milliseconds=1))

    answer = ask(client)

    assert (answer["last_result"], answer["reason"]) == (requested.as_dict(), None)


def test_without_redis_it_is_unavailable(databases: Databases, database_url: str, db: Connection) -> None:
    """An answer without the last result would be taken for one of a model that has none."""
    schedule(db)
    env = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": "redis://127.0.0.1:9/0"}
    client = create_app(Settings.from_env(env)).test_client()

    answer: Any = client.get(f"/schedule/{MODEL}")

    assert problem(answer) == (503, "unavailable")
    assert answer.json["detail"] == "Redis does not answer at present; try again in a moment."
    assert client.put(f"/schedule/{MODEL}", json={"cron_expression": "@daily"}).status_code == 200
    assert client.delete(f"/schedule/{MODEL}").status_code == 204
