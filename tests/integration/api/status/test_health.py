"""Health endpoints, also while servers are unavailable."""

import json
import time
from contextlib import closing
from datetime import UTC, datetime
from typing import Any

import psycopg2
import pytest
import redis
from flask.testing import FlaskClient

from api.main import create_app
from api.settings import Settings
from core.leader_lock import LEADER_LOCK
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY, UNACKED_KEY
from core.results.keys import COUNTS_KEY, FAILING_KEY, confusion_key, results_key
from core.timestamps import iso
from tests.support.api_responses import problem
from tests.support.databases import MODEL, OTHER, Connection, Databases, execute, fetch_value, schedule, set_clock
from tests.support.proxy import Proxy

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
UNREACHABLE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}


@pytest.fixture
def healthy(db: Connection) -> Connection:
    """A system whose leader had a heartbeat just now."""
    set_clock(db, "2026-11-24 12:00:30+00")
    execute(db, "UPDATE leader SET name = 'here:1', since = schedule_now(), looked_at = schedule_now()")
    return db


def test_api_is_alive_and_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ok"}


def test_api_is_alive_but_not_ready_without_servers() -> None:
    client = create_app(Settings.from_env(UNREACHABLE)).test_client()

    assert client.get("/healthz").status_code == 200
    ready, schedules, results = (client.get(path) for path in ("/readyz", "/schedule", f"/results/{MODEL}"))
    assert [response.status_code for response in (ready, schedules, results)] == [503, 503, 503]
    assert {problem(response) for response in (ready, schedules, results)} == {(503, "unavailable")}
    assert ready.json["detail"] == "no answer from PostgreSQL and Redis"  # type: ignore[index]
    assert "PostgreSQL does not answer" in schedules.json["detail"]  # type: ignore[index]
    assert "Redis does not answer" in results.json["detail"]  # type: ignore[index]


def test_api_is_not_ready_while_servers_do_not_respond(databases: Databases, database_url: str, redis_url: str) -> None:
    """They accept connections only: packets are dropped, or the processes are stopped."""
    with Proxy(databases.url_as("metrics_api", database_url)) as database, Proxy(redis_url) as queue:
        client = create_app(Settings.from_env({"DATABASE_URL": database.url, "REDIS_URL": queue.url})).test_client()
        assert client.get("/readyz").status_code == 200
        for network in (database, queue):
            network.cut()
            network.silence()

        started = time.monotonic()
        response = client.get("/readyz")
        duration = time.monotonic() - started

        assert response.status_code == 503
        assert response.json["detail"] == "no answer from PostgreSQL and Redis"  # type: ignore[index]
        assert duration < 8
        for network in (database, queue):
            network.resume()
        assert client.get("/readyz").status_code == 200


def test_connection_closed_by_the_server_is_replaced(client: FlaskClient, db: Connection) -> None:
    assert client.get("/schedule").status_code == 200
    terminated = fetch_value(
        db,
        "SELECT count(pg_terminate_backend(pid, 1000)) FROM pg_stat_activity"
        " WHERE application_name LIKE '%api' AND datname = current_database()",
    )
    assert terminated == 1

    assert client.get("/schedule").status_code == 200


def test_status_without_problems(client: FlaskClient, healthy: Connection) -> None:
    execute(
        healthy,
        "INSERT INTO fires VALUES ('2026-11-24 12:00+00', '2026-11-24 12:00:00.005+00', '2026-11-24 12:00:00.205+00',"
        " 2, 1000, 10, 0, 'here:1')",
    )

    response = client.get("/status")

    assert response.status_code == 200
    assert response.json == {
        "status": "ok",
        "problems": [],
        "leader": {
            "name": "here:1",
            "since": "2026-11-24T12:00:30Z",
            "looked_at": "2026-11-24T12:00:30Z",
            "error": None,
        },
        "late": {"count": 0, "pairs": []},
        "errors": {"count": 0, "pairs": []},
        "queue": {"messages": 0, "oldest_queued_at": None, "taken": 0, "oldest_taken_at": None},
        "last_fire": {
            "due_at": "2026-11-24T12:00:00Z",
            "lag_seconds": 0.005,
            "duration_seconds": 0.2,
            "crons": 2,
            "models": 1000,
            "messages": 10,
            "skipped": 0,
        },
    }


# Rows that bypassed the validation trigger, and their cron specs.
FAILING_SPECS = """
    SET session_replication_role = replica;
    INSERT INTO metrics_executions (model_id, cron_expression)
        SELECT gen_random_uuid(), 'r ' || n || ' * * *' FROM generate_series(1, {count}) AS n;
    INSERT INTO crons (cron_expression, timezone, error, tzdata_version)
        SELECT 'r ' || n || ' * * *', 'UTC', '"r" is not understood', 'x' FROM generate_series(1, {count}) AS n
"""
# A minute apart; the last one is not late yet.
LATE_SPECS = """
    INSERT INTO crons (cron_expression, timezone, next_due_at, tzdata_version)
        SELECT n || ' * * * *', 'Europe/Warsaw', schedule_now() - make_interval(mins => {count} - n), 'x'
        FROM generate_series(0, {count}) AS n
"""


def test_status_lists_all_problems(client: FlaskClient, healthy: Connection) -> None:
    """The problems of the scheduler come first."""
    execute(healthy, "UPDATE leader SET looked_at = '2026-11-24 12:00:00+00', error = 'Redis: gone'")
    execute(healthy, "UPDATE leader SET looked_at = looked_at - interval '1 s'")
    execute(healthy, LATE_SPECS.format(count=1) + ";" + FAILING_SPECS.format(count=1))

    response = client.get("/status")

    assert response.status_code == 503
    assert response.json["status"] == "failing"  # type: ignore[index]
    assert response.json["problems"] == [  # type: ignore[index]
        "no scheduler has looked for due models since 2026-11-24T11:59:59Z (here:1 led)",
        "the scheduler cannot send: Redis: gone",
        '1 pair of cron expression and time zone is late: "0 * * * *" in Europe/Warsaw is due since'
        " 2026-11-24T11:59:30Z",
        '1 pair of cron expression and time zone cannot run: "r 1 * * *" in UTC: "r" is not understood',
    ]


def test_session_that_holds_the_leader_lock_is_named(
    client: FlaskClient, healthy: Connection, databases: Databases, database_url: str
) -> None:
    set_clock(healthy, "2026-11-24 12:01:30+00")
    with closing(psycopg2.connect(databases.url_as("metrics_client", database_url))) as session:
        execute(session, f"SELECT pg_advisory_lock({LEADER_LOCK})")
        pid = fetch_value(session, "SELECT pg_backend_pid()")
        body: Any = client.get("/status").json
        execute(session, "SET application_name = 'cyclic-metrics scheduler other:1'")
        standing_in: Any = client.get("/status").json

    assert body["problems"][1:] == [
        f"no scheduler can lead: role metrics_client (pid {pid}, application_name '') holds the advisory lock"
        f" {LEADER_LOCK} of the leader; SELECT pg_terminate_backend({pid}) ends its session"
    ]
    assert len(standing_in["problems"]) == 1


@pytest.mark.parametrize("kind", ["stream", "member", "score"])
def test_foreign_data_in_redis_causes_no_internal_error(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis, kind: str
) -> None:
    schedule(healthy)
    names = [QUEUE, UNACKED_INDEX_KEY, UNACKED_KEY, FAILING_KEY, COUNTS_KEY, results_key(MODEL), confusion_key(MODEL)]
    if kind == "stream":
        for name in names:
            redis_client.xadd(name, {"a": "b"})
    elif kind == "member":
        redis_client.lpush(QUEUE, b"\xff")
        redis_client.hset(COUNTS_KEY, mapping={"ok": b"\xff"})
        redis_client.set(confusion_key(MODEL), b"\xff")
        for name in (UNACKED_INDEX_KEY, FAILING_KEY, results_key(MODEL)):
            redis_client.zadd(name, {b"\xff": 1e9})
    else:
        for name in (UNACKED_INDEX_KEY, FAILING_KEY, results_key(MODEL)):
            redis_client.zadd(name, {MODEL: float("inf"), OTHER: 1e99, "[": -1e99})

    paths = [
        "/status", "/metrics", "/schedule", "/schedule?status=failing", f"/schedule/{MODEL}", f"/results/{MODEL}",
        f"/results/{MODEL}/history", "/", "/?status=failing", f"/models/{MODEL}", f"/models/{MODEL}/chart",
    ]  # fmt: skip
    assert not [path for path in paths if client.get(path).status_code == 500]


def test_all_cron_specs_are_counted_and_five_are_listed(client: FlaskClient, healthy: Connection) -> None:
    execute(healthy, LATE_SPECS.format(count=7) + ";" + FAILING_SPECS.format(count=6))

    response = client.get("/status")

    late, errors = response.json["problems"]  # type: ignore[index]
    assert late.startswith(
        "7 pairs of cron expression and time zone are late:"
        ' "0 * * * *" in Europe/Warsaw is due since 2026-11-24T11:53:30Z; "1 * * * *" in '
    )
    assert late.endswith('"4 * * * *" in Europe/Warsaw is due since 2026-11-24T11:57:30Z; and 2 more')
    assert errors.startswith('6 pairs of cron expression and time zone cannot run: "r 1 * * *" in UTC: "r" is not')
    assert errors.endswith("; and 1 more")
    listed = response.json["late"], response.json["errors"]  # type: ignore[index]
    assert [(kind["count"], len(kind["pairs"])) for kind in listed] == [(7, 5), (6, 5)]
    assert listed[0]["pairs"][0] == {
        "cron_expression": "0 * * * *",
        "timezone": "Europe/Warsaw",
        "due_at": "2026-11-24T11:53:30Z",
    }
    assert listed[1]["pairs"][0] == {
        "cron_expression": "r 1 * * *",
        "timezone": "UTC",
        "error": '"r" is not understood',
    }


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        ("UPDATE leader SET looked_at = schedule_now() - interval '30 s'", 200),
        ("UPDATE leader SET looked_at = schedule_now() - interval '30.1 s'", 503),
        ("UPDATE leader SET looked_at = NULL, name = NULL", 503),
        ("INSERT INTO crons VALUES ('* * * * *', 'UTC', schedule_now() - interval '30 s', NULL, NULL, 'x')", 200),
        ("INSERT INTO crons VALUES ('* * * * *', 'UTC', schedule_now() - interval '30.1 s', NULL, NULL, 'x')", 503),
    ],
)
def test_status_fails_after_30_seconds(client: FlaskClient, healthy: Connection, fault: str, status: int) -> None:
    execute(healthy, fault)

    assert client.get("/status").status_code == status


@pytest.mark.parametrize(
    "remedy",
    [
        "DELETE FROM metrics_executions",
        "UPDATE metrics_executions SET enabled = false",
        "UPDATE metrics_executions SET cron_expression = '1 1 * * *'",
    ],
)
def test_error_of_a_cron_spec_without_schedules_is_no_problem(
    client: FlaskClient, healthy: Connection, remedy: str
) -> None:
    execute(healthy, FAILING_SPECS.format(count=1))
    assert client.get("/status").status_code == 503

    execute(healthy, remedy)

    assert client.get("/status").status_code == 200


def message(queued_at: str) -> str:
    """Return a message for a due time long ago, as after an outage."""
    return json.dumps({"headers": {"due_at": "2026-11-21T12:00:00.000+00:00", "queued_at": queued_at}})


@pytest.mark.parametrize(
    ("waiting", "problem"),
    [
        (["2026-11-24T11:55:30+00:00"], None),
        (["2026-11-24T11:55:29.999+00:00"], "1 message waits for the workers, the next one since"),
        (["2026-11-24T12:55:29.999+01:00"], "1 message waits for the workers, the next one since"),
        (["2026-11-24T11:00+00:00", "2026-11-24T12:00+00:00"], "2 messages wait for the workers, the next one since"),
    ],
)
def test_old_waiting_message_is_a_problem(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis, waiting: list[str], problem: str | None
) -> None:
    """By the time of sending, not by the due time."""
    for queued_at in waiting:
        redis_client.lpush(QUEUE, message(queued_at))

    response = client.get("/status")

    oldest = iso(datetime.fromisoformat(waiting[0]))
    assert response.json["problems"] == ([f"{problem} {oldest}"] if problem else [])  # type: ignore[index]
    assert response.json["queue"] == {  # type: ignore[index]
        "messages": len(waiting),
        "oldest_queued_at": oldest,
        "taken": 0,
        "oldest_taken_at": None,
    }


def test_foreign_message_has_no_age(client: FlaskClient, healthy: Connection, redis_client: redis.Redis) -> None:
    redis_client.lpush(QUEUE, "not ours", message("2026-11-24T11:00+00:00"))

    response = client.get("/status")

    assert response.status_code == 200
    assert response.json["queue"]["messages"] == 2  # type: ignore[index]
    assert response.json["queue"]["oldest_queued_at"] is None  # type: ignore[index]


@pytest.mark.parametrize(
    ("ages", "problem"),
    [
        ([290, 10], None),
        ([310], "workers have taken 1 message and not finished, the oldest since"),
        ([310, 10], "workers have taken 2 messages and not finished, the oldest since"),
    ],
)
def test_old_taken_message_is_a_problem(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis, ages: list[int], problem: str | None
) -> None:
    """As after a crash of all workers; by the clock of Redis, not by schedule_now()."""
    seconds, _ = redis_client.time()
    redis_client.zadd(UNACKED_INDEX_KEY, {f"message {age}": seconds - age for age in ages})

    response = client.get("/status")

    oldest = iso(datetime.fromtimestamp(seconds - ages[0], UTC))
    assert response.json["problems"] == ([f"{problem} {oldest}"] if problem else [])  # type: ignore[index]
    assert response.json["queue"]["taken"] == len(ages)  # type: ignore[index]
    assert response.json["queue"]["oldest_taken_at"] == oldest  # type: ignore[index]


def test_age_limit_of_the_queue_is_a_setting(
    databases: Databases, database_url: str, healthy: Connection, redis_url: str, redis_client: redis.Redis
) -> None:
    env = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}
    client = create_app(Settings.from_env(env | {"QUEUE_AGE_LIMIT": "10"})).test_client()
    redis_client.lpush(QUEUE, message("2026-11-24T12:00:19+00:00"))

    assert client.get("/status").status_code == 503


def test_api_is_ready_despite_problems_of_other_services(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis
) -> None:
    """Without a leader, with late due times or dead workers, taking the API out of service would not help."""
    execute(healthy, "UPDATE leader SET looked_at = NULL, error = 'Redis: gone'")
    execute(healthy, LATE_SPECS.format(count=1) + ";" + FAILING_SPECS.format(count=1))
    redis_client.lpush(QUEUE, message("2026-11-24T11:00+00:00"))
    redis_client.zadd(UNACKED_INDEX_KEY, {"message": 1.0})
    assert len(client.get("/status").json["problems"]) == 6  # type: ignore[index]

    assert client.get("/readyz").status_code == 200


def test_status_without_redis(databases: Databases, database_url: str, healthy: Connection) -> None:
    env = UNREACHABLE | {"DATABASE_URL": databases.url_as("metrics_api", database_url)}
    client = create_app(Settings.from_env(env)).test_client()
    schedule(healthy)

    response = client.get("/status")

    assert response.status_code == 503
    assert response.json["problems"] == ["Redis does not answer"]  # type: ignore[index]


def test_unknown_path_is_a_problem(client: FlaskClient) -> None:
    assert problem(client.get("/nothing")) == (404, "not-found")
