"""Results and health over HTTP, and what is said when a server is away."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest
import redis
from flask.testing import FlaskClient

from api.main import create_app
from api.settings import Settings
from tests.databases import MODEL, Connection, Databases, one, run, schedule, set_clock
from worker.messages import QUEUE
from worker.results import Result, Results

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}


@pytest.fixture
def healthy(db: Connection) -> Connection:
    """A system whose leader looked just now."""
    set_clock(db, "2026-11-24 12:00:30+00")
    run(db, "UPDATE leader SET name = 'here:1', since = schedule_now(), looked_at = schedule_now()")
    return db


def test_the_latest_result_is_shown(client: FlaskClient, redis_client: redis.Redis) -> None:
    result = Result(MODEL, NOON, NOON, "ok", 0.5, 2, 7, NOON)
    Results(redis_client).save([replace(result, due_at=datetime(2026, 11, 24, 11, 59, tzinfo=UTC)), result])

    answer = client.get(f"/results/{MODEL.upper()}")

    assert answer.status_code == 200
    assert answer.json == result.as_dict()


def test_there_is_no_result_before_the_first_run(client: FlaskClient) -> None:
    answer = client.get(f"/results/{MODEL}")

    assert answer.status_code == 404
    assert "has no result yet" in answer.json["detail"]  # type: ignore[index]


def test_it_lives_and_is_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ok"}


def test_without_servers_it_lives_and_says_so() -> None:
    client = create_app(Settings.from_env(NOWHERE)).test_client()

    assert client.get("/healthz").status_code == 200
    ready, schedules, results = (client.get(path) for path in ("/readyz", "/schedule", f"/results/{MODEL}"))
    assert [answer.status_code for answer in (ready, schedules, results)] == [503, 503, 503]
    assert ready.json["detail"] == "no answer from PostgreSQL and Redis"  # type: ignore[index]
    assert "PostgreSQL does not answer" in schedules.json["detail"]  # type: ignore[index]
    assert "Redis does not answer" in results.json["detail"]  # type: ignore[index]


def test_a_connection_that_the_server_ended_is_replaced(client: FlaskClient, db: Connection) -> None:
    assert client.get("/schedule").status_code == 200
    ended = one(
        db,
        "SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity"
        " WHERE application_name LIKE '%api' AND datname = current_database()",
    )
    assert ended == 1

    assert client.get("/schedule").status_code == 200


def test_the_status_is_ok_when_all_is_well(client: FlaskClient, healthy: Connection) -> None:
    run(
        healthy,
        "INSERT INTO fires"
        " VALUES ('2026-11-24 12:00+00', '2026-11-24 12:00:00.005+00', NULL, 2, 1000, 10, 0, 'here:1')",
    )

    answer = client.get("/status")

    assert answer.status_code == 200
    assert answer.json == {
        "status": "ok",
        "problems": [],
        "leader": {
            "name": "here:1",
            "since": "2026-11-24T12:00:30Z",
            "looked_at": "2026-11-24T12:00:30Z",
            "error": None,
        },
        "late": 0,
        "errors": 0,
        "queue": {"messages": 0, "oldest_due_at": None},
        "last_fire": {
            "due_at": "2026-11-24T12:00:00Z",
            "lag_seconds": 0.005,
            "crons": 2,
            "models": 1000,
            "messages": 10,
            "skipped": 0,
        },
    }


BAD_ROW = (
    "SET session_replication_role = replica;"
    f" INSERT INTO metrics_executions (model_id, cron_expression) VALUES ('{MODEL}', 'r r * * *')"
)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("UPDATE leader SET looked_at = schedule_now() - interval '31 s'", "no scheduler has looked"),
        ("UPDATE leader SET looked_at = NULL, name = NULL", "no scheduler has looked"),
        ("UPDATE leader SET error = 'Redis: gone'", "the scheduler cannot send: Redis: gone"),
        ("INSERT INTO crons VALUES ('* * * * *', 'UTC', schedule_now() - interval '31 s', NULL, NULL, 'x')", "1 pairs"),
        (f"{BAD_ROW}; INSERT INTO crons VALUES ('r r * * *', 'UTC', NULL, NULL, 'not understood', 'x')", "cannot run"),
    ],
)
def test_the_status_says_what_is_wrong(client: FlaskClient, healthy: Connection, fault: str, said: str) -> None:
    run(healthy, fault)

    answer = client.get("/status")

    assert answer.status_code == 503
    assert said in answer.json["problems"][0]  # type: ignore[index]


@pytest.mark.parametrize(
    "remedy",
    [
        "DELETE FROM metrics_executions",
        "UPDATE metrics_executions SET enabled = false",
        "UPDATE metrics_executions SET cron_expression = '1 1 * * *'",
    ],
)
def test_the_status_forgets_an_error_with_its_last_row(client: FlaskClient, healthy: Connection, remedy: str) -> None:
    run(healthy, f"{BAD_ROW}; INSERT INTO crons VALUES ('r r * * *', 'UTC', NULL, NULL, 'not understood', 'x')")
    assert client.get("/status").status_code == 503

    run(healthy, remedy)

    assert client.get("/status").status_code == 200


def test_the_status_sees_messages_that_nobody_takes(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis
) -> None:
    redis_client.lpush(QUEUE, '{"headers": {"due_at": "2026-11-24T11:50:00.000+00:00"}}', "not ours")

    answer = client.get("/status")

    assert answer.status_code == 503
    assert answer.json["queue"] == {"messages": 2, "oldest_due_at": "2026-11-24T11:50:00Z"}  # type: ignore[index]
    assert answer.json["problems"] == ["messages wait for the workers since 2026-11-24T11:50:00Z"]  # type: ignore[index]


def test_the_status_without_redis(databases: Databases, database_url: str, healthy: Connection) -> None:
    env = NOWHERE | {"DATABASE_URL": databases.url_as("metrics_api", database_url)}
    client = create_app(Settings.from_env(env)).test_client()
    schedule(healthy)

    answer = client.get("/status")

    assert answer.status_code == 503
    assert answer.json["problems"] == ["Redis does not answer"]  # type: ignore[index]


def test_what_does_not_exist_is_a_problem(client: FlaskClient) -> None:
    answer = client.get("/nothing")

    assert (answer.status_code, answer.content_type) == (404, "application/problem+json")
