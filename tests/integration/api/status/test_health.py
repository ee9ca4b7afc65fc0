"""Health over HTTP, and what is said when a server is away."""

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
from tests.support.databases import MODEL, OTHER, Connection, Databases, one, run, schedule, set_clock
from tests.support.proxy import Proxy

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
NOWHERE = {"DATABASE_URL": "postgresql://nobody@127.0.0.1:9/none", "REDIS_URL": "redis://127.0.0.1:9/0"}


@pytest.fixture
def healthy(db: Connection) -> Connection:
    """A system whose leader looked just now."""
    set_clock(db, "2026-11-24 12:00:30+00")
    run(db, "UPDATE leader SET name = 'here:1', since = schedule_now(), looked_at = schedule_now()")
    return db


def test_it_lives_and_is_ready(client: FlaskClient) -> None:
    assert client.get("/healthz").json == {"status": "ok"}
    assert client.get("/readyz").json == {"status": "ok"}


def test_without_servers_it_lives_and_says_so() -> None:
    client = create_app(Settings.from_env(NOWHERE)).test_client()

    assert client.get("/healthz").status_code == 200
    ready, schedules, results = (client.get(path) for path in ("/readyz", "/schedule", f"/results/{MODEL}"))
    assert [answer.status_code for answer in (ready, schedules, results)] == [503, 503, 503]
    assert {problem(answer) for answer in (ready, schedules, results)} == {(503, "unavailable")}
    assert ready.json["detail"] == "no answer from PostgreSQL and Redis"  # type: ignore[index]
    assert "PostgreSQL does not answer" in schedules.json["detail"]  # type: ignore[index]
    assert "Redis does not answer" in results.json["detail"]  # type: ignore[index]


def test_it_is_not_ready_where_servers_say_nothing(databases: Databases, database_url: str, redis_url: str) -> None:
    """They accept connections, and that is all: packets are dropped, or the processes stand still."""
    with Proxy(databases.url_as("metrics_api", database_url)) as database, Proxy(redis_url) as queue:
        client = create_app(Settings.from_env({"DATABASE_URL": database.url, "REDIS_URL": queue.url})).test_client()
        assert client.get("/readyz").status_code == 200
        for network in (database, queue):
            network.cut()
            network.silence()

        started = time.monotonic()
        answer = client.get("/readyz")
        took = time.monotonic() - started

        assert answer.status_code == 503
        assert answer.json["detail"] == "no answer from PostgreSQL and Redis"  # type: ignore[index]
        assert took < 8
        for network in (database, queue):
            network.resume()
        assert client.get("/readyz").status_code == 200


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
        "INSERT INTO fires VALUES ('2026-11-24 12:00+00', '2026-11-24 12:00:00.005+00', '2026-11-24 12:00:00.205+00',"
        " 2, 1000, 10, 0, 'here:1')",
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


# Expressions of rows that got past the gate, and of their pairs.
BAD_PAIRS = """
    SET session_replication_role = replica;
    INSERT INTO metrics_executions (model_id, cron_expression)
        SELECT gen_random_uuid(), 'r ' || n || ' * * *' FROM generate_series(1, {count}) AS n;
    INSERT INTO crons (cron_expression, timezone, error, tzdata_version)
        SELECT 'r ' || n || ' * * *', 'UTC', '"r" is not understood', 'x' FROM generate_series(1, {count}) AS n
"""
# One after the other, a minute apart; the last one is not late yet.
LATE_PAIRS = """
    INSERT INTO crons (cron_expression, timezone, next_due_at, tzdata_version)
        SELECT n || ' * * * *', 'Europe/Warsaw', schedule_now() - make_interval(mins => {count} - n), 'x'
        FROM generate_series(0, {count}) AS n
"""


def test_the_problems_say_what_it_is(client: FlaskClient, healthy: Connection) -> None:
    """All at once, the scheduler's own part first."""
    run(healthy, "UPDATE leader SET looked_at = '2026-11-24 12:00:00+00', error = 'Redis: gone'")
    run(healthy, "UPDATE leader SET looked_at = looked_at - interval '1 s'")
    run(healthy, LATE_PAIRS.format(count=1) + ";" + BAD_PAIRS.format(count=1))

    answer = client.get("/status")

    assert answer.status_code == 503
    assert answer.json["status"] == "failing"  # type: ignore[index]
    assert answer.json["problems"] == [  # type: ignore[index]
        "no scheduler has looked for due models since 2026-11-24T11:59:59Z (here:1 led)",
        "the scheduler cannot send: Redis: gone",
        '1 pair of cron expression and time zone is late: "0 * * * *" in Europe/Warsaw is due since'
        " 2026-11-24T11:59:30Z",
        '1 pair of cron expression and time zone cannot run: "r 1 * * *" in UTC: "r" is not understood',
    ]


def test_the_session_that_keeps_schedulers_from_leading_is_named(
    client: FlaskClient, healthy: Connection, databases: Databases, database_url: str
) -> None:
    set_clock(healthy, "2026-11-24 12:01:30+00")
    with closing(psycopg2.connect(databases.url_as("metrics_client", database_url))) as session:
        run(session, f"SELECT pg_advisory_lock({LEADER_LOCK})")
        pid = one(session, "SELECT pg_backend_pid()")
        body: Any = client.get("/status").json
        run(session, "SET application_name = 'cyclic-metrics scheduler other:1'")
        standing_in: Any = client.get("/status").json

    assert body["problems"][1:] == [
        f"no scheduler can lead: role metrics_client (pid {pid}, application_name '') holds the advisory lock"
        f" {LEADER_LOCK} of the leader; SELECT pg_terminate_backend({pid}) ends its session"
    ]
    assert len(standing_in["problems"]) == 1


@pytest.mark.parametrize("kind", ["stream", "member", "score"])
def test_junk_in_redis_makes_no_internal_error(
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


def test_many_pairs_are_counted_and_a_few_are_named(client: FlaskClient, healthy: Connection) -> None:
    run(healthy, LATE_PAIRS.format(count=7) + ";" + BAD_PAIRS.format(count=6))

    answer = client.get("/status")

    late, errors = answer.json["problems"]  # type: ignore[index]
    assert late.startswith(
        "7 pairs of cron expression and time zone are late:"
        ' "0 * * * *" in Europe/Warsaw is due since 2026-11-24T11:53:30Z; "1 * * * *" in '
    )
    assert late.endswith('"4 * * * *" in Europe/Warsaw is due since 2026-11-24T11:57:30Z; and 2 more')
    assert errors.startswith('6 pairs of cron expression and time zone cannot run: "r 1 * * *" in UTC: "r" is not')
    assert errors.endswith("; and 1 more")
    shown = answer.json["late"], answer.json["errors"]  # type: ignore[index]
    assert [(kind["count"], len(kind["pairs"])) for kind in shown] == [(7, 5), (6, 5)]
    assert shown[0]["pairs"][0] == {
        "cron_expression": "0 * * * *",
        "timezone": "Europe/Warsaw",
        "due_at": "2026-11-24T11:53:30Z",
    }
    assert shown[1]["pairs"][0] == {
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
def test_the_status_turns_red_after_30_seconds(
    client: FlaskClient, healthy: Connection, fault: str, status: int
) -> None:
    run(healthy, fault)

    assert client.get("/status").status_code == status


@pytest.mark.parametrize(
    "remedy",
    [
        "DELETE FROM metrics_executions",
        "UPDATE metrics_executions SET enabled = false",
        "UPDATE metrics_executions SET cron_expression = '1 1 * * *'",
    ],
)
def test_the_status_forgets_an_error_with_its_last_row(client: FlaskClient, healthy: Connection, remedy: str) -> None:
    run(healthy, BAD_PAIRS.format(count=1))
    assert client.get("/status").status_code == 503

    run(healthy, remedy)

    assert client.get("/status").status_code == 200


def queued(queued_at: str) -> str:
    """Return a message for a moment long ago, as after an outage."""
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
def test_the_status_sees_messages_that_nobody_takes(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis, waiting: list[str], problem: str | None
) -> None:
    """By when they were sent, whatever their moment is."""
    for queued_at in waiting:
        redis_client.lpush(QUEUE, queued(queued_at))

    answer = client.get("/status")

    oldest = iso(datetime.fromisoformat(waiting[0]))
    assert answer.json["problems"] == ([f"{problem} {oldest}"] if problem else [])  # type: ignore[index]
    assert answer.json["queue"] == {  # type: ignore[index]
        "messages": len(waiting),
        "oldest_queued_at": oldest,
        "taken": 0,
        "oldest_taken_at": None,
    }


def test_a_message_of_somebody_else_has_no_age(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis
) -> None:
    redis_client.lpush(QUEUE, "not ours", queued("2026-11-24T11:00+00:00"))

    answer = client.get("/status")

    assert answer.status_code == 200
    assert answer.json["queue"]["messages"] == 2  # type: ignore[index]
    assert answer.json["queue"]["oldest_queued_at"] is None  # type: ignore[index]


@pytest.mark.parametrize(
    ("ages", "problem"),
    [
        ([290, 10], None),
        ([310], "workers have taken 1 message and not finished, the oldest since"),
        ([310, 10], "workers have taken 2 messages and not finished, the oldest since"),
    ],
)
def test_the_status_sees_messages_that_nobody_finishes(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis, ages: list[int], problem: str | None
) -> None:
    """As when all workers died; by the clock of Redis, whatever schedule_now() says."""
    seconds, _ = redis_client.time()
    redis_client.zadd(UNACKED_INDEX_KEY, {f"message {age}": seconds - age for age in ages})

    answer = client.get("/status")

    oldest = iso(datetime.fromtimestamp(seconds - ages[0], UTC))
    assert answer.json["problems"] == ([f"{problem} {oldest}"] if problem else [])  # type: ignore[index]
    assert answer.json["queue"]["taken"] == len(ages)  # type: ignore[index]
    assert answer.json["queue"]["oldest_taken_at"] == oldest  # type: ignore[index]


def test_how_old_the_queue_may_become_is_a_setting(
    databases: Databases, database_url: str, healthy: Connection, redis_url: str, redis_client: redis.Redis
) -> None:
    env = {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}
    client = create_app(Settings.from_env(env | {"QUEUE_AGE_LIMIT": "10"})).test_client()
    redis_client.lpush(QUEUE, queued("2026-11-24T12:00:19+00:00"))

    assert client.get("/status").status_code == 503


def test_trouble_behind_the_api_leaves_it_ready(
    client: FlaskClient, healthy: Connection, redis_client: redis.Redis
) -> None:
    """Taking it out of service would help nobody: no leader, late moments, workers that are busy or dead."""
    run(healthy, "UPDATE leader SET looked_at = NULL, error = 'Redis: gone'")
    run(healthy, LATE_PAIRS.format(count=1) + ";" + BAD_PAIRS.format(count=1))
    redis_client.lpush(QUEUE, queued("2026-11-24T11:00+00:00"))
    redis_client.zadd(UNACKED_INDEX_KEY, {"message": 1.0})
    assert len(client.get("/status").json["problems"]) == 6  # type: ignore[index]

    assert client.get("/readyz").status_code == 200


def test_the_status_without_redis(databases: Databases, database_url: str, healthy: Connection) -> None:
    env = NOWHERE | {"DATABASE_URL": databases.url_as("metrics_api", database_url)}
    client = create_app(Settings.from_env(env)).test_client()
    schedule(healthy)

    answer = client.get("/status")

    assert answer.status_code == 503
    assert answer.json["problems"] == ["Redis does not answer"]  # type: ignore[index]


def test_what_does_not_exist_is_a_problem(client: FlaskClient) -> None:
    assert problem(client.get("/nothing")) == (404, "not-found")
