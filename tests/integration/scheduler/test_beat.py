"""The scheduler as a process: who leads, and what it survives."""

import signal
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import redis
from celery import Celery
from celery.exceptions import ImproperlyConfigured
from psycopg2 import OperationalError

from core import postgres
from devstack import redis as local_redis
from devstack.services import SCHEDULER
from scheduler import leader_election
from scheduler.leader import HEARTBEAT_INTERVAL
from scheduler.leader_election import try_to_lead
from tests.integration.scheduler.conftest import BEFORE, NOON, SESSIONS, Run, with_standby
from tests.support import cron_model
from tests.support.celery_queue import drain_queue, published_messages
from tests.support.databases import MODEL, Connection, Databases, model_ids, one, run, schedule, set_clock, wait_for
from tests.support.processes import Service, is_leader, running_service, runs_within

MINUTE = timedelta(minutes=1)

BY_CELERY = ["celery", "--quiet", "-A", "scheduler.app", "beat", "--scheduler", "scheduler.beat:DatabaseScheduler"]


def leader_and_standby(db: Connection, run_scheduler: Run) -> tuple[Service, Service]:
    """Start two schedulers half a minute before noon, with one schedule to run."""
    set_clock(db, BEFORE)
    schedule(db)
    first = run_scheduler()
    return first, with_standby(db, first, run_scheduler)


def test_two_at_once_have_one_leader_and_the_standby_takes_over(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    first, second = leader_and_standby(db, run_scheduler)
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
    time.sleep(1.0)  # the standby has tried by then
    assert is_leader(db, first)

    first.kill()
    killed_at = time.monotonic()
    wait_for(lambda: is_leader(db, second))
    took = time.monotonic() - killed_at
    set_clock(db, NOON)

    wait_for(lambda: published_messages(redis_client))
    assert [message["model_ids"] for message in published_messages(redis_client)] == [[MODEL]]
    assert took < 2.0


def test_a_leader_that_is_stopped_is_replaced_and_does_no_harm_when_it_goes_on(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    first, second = leader_and_standby(db, run_scheduler)

    first.popen.send_signal(signal.SIGSTOP)
    wait_for(lambda: is_leader(db, second), seconds=15)
    first.popen.send_signal(signal.SIGCONT)
    wait_for(lambda: "PostgreSQL" in first.output)
    set_clock(db, NOON)

    wait_for(lambda: published_messages(redis_client))
    time.sleep(0.5)  # for what should not come
    assert len(published_messages(redis_client)) == 1
    assert is_leader(db, second)
    assert first.popen.poll() is None


def test_a_lead_ends_with_its_session(databases: Databases, database_url: str) -> None:
    url = databases.url_as("metrics_scheduler", database_url)
    first, second = postgres.connect(url, "first"), postgres.connect(url, "second")

    assert try_to_lead(first)
    assert not try_to_lead(second)
    first.close()
    wait_for(lambda: try_to_lead(second), seconds=2)
    second.close()


def test_a_silent_leader_is_ended_by_a_standby(
    databases: Databases, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leader_election, "LEADER_TIMEOUT", 0)
    url = databases.url_as("metrics_scheduler", database_url)
    first, second = postgres.connect(url, "first"), postgres.connect(url, "second")
    assert try_to_lead(first)

    wait_for(lambda: try_to_lead(second), seconds=2)

    with pytest.raises(OperationalError):
        run(first, "SELECT 1")
    first.close()
    second.close()


def test_it_goes_on_when_redis_was_away(
    databases: Databases, db: Connection, database_url: str, tmp_path: Path
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_scheduler", database_url), "REDIS_URL": server.url}
        with running_service(SCHEDULER, env, tmp_path / "log") as scheduler:
            wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
            server.process.kill()
            set_clock(db, NOON)
            wait_for(lambda: "Redis" in (one(db, "SELECT error FROM leader") or ""))

            server.process.start()

            wait_for(lambda: local_redis.answers(server.url) and published_messages(client))
            wait_for(lambda: one(db, "SELECT error FROM leader") is None)
            assert scheduler.popen.poll() is None


@pytest.mark.parametrize("command", [SCHEDULER, BY_CELERY])
def test_it_ends_on_sigterm_and_frees_the_lead(db: Connection, run_scheduler: Run, command: list[str]) -> None:
    def seconds_to_the_end() -> float:
        scheduler = run_scheduler(command)
        wait_for(lambda: is_leader(db, scheduler))
        started = time.monotonic()
        assert scheduler.stop() == 0
        took = time.monotonic() - started
        wait_for(lambda: one(db, SESSIONS) == 0)  # the server notices the end a little later
        assert "Traceback" not in scheduler.output
        return took

    assert runs_within(seconds_to_the_end, 5.0)


@pytest.mark.parametrize("delay", [0.3, 0.5, 0.7, 0.9])
def test_it_ends_on_sigterm_while_it_starts(run_scheduler: Run, delay: float) -> None:
    scheduler = run_scheduler()
    time.sleep(delay)

    assert scheduler.stop() in {0, -signal.SIGTERM}  # before it handles signals, the signal itself ends it

    assert "Traceback" not in scheduler.output


def test_a_new_cron_has_its_next_moment_at_once(db: Connection, run_scheduler: Run) -> None:
    """The bench measures how soon; here it comes without the look that the scheduler takes every few seconds."""
    scheduler = run_scheduler()
    wait_for(lambda: is_leader(db, scheduler))
    looked_at = one(db, "SELECT looked_at FROM leader")
    wait_for(lambda: one(db, "SELECT looked_at FROM leader") > looked_at)

    schedule(db, cron="7 7 7 7 *")

    wait_for(lambda: one(db, "SELECT count(next_due_at) FROM crons") == 1, seconds=HEARTBEAT_INTERVAL - 0.5)


def test_it_refuses_a_beat_schedule(
    databases: Databases, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    from scheduler.beat import DatabaseScheduler  # noqa: PLC0415  # reads the environment

    with Celery(queue=redis_url) as app:
        app.conf.beat_schedule = {"tidy up": {"task": "tidy", "schedule": 5.0}}
        with pytest.raises(ImproperlyConfigured, match="tidy up"):
            DatabaseScheduler(app=app)


NIGHTS = [
    ("America/New_York", "2026-03-08 05:30"),  # 02:00 becomes 03:00 at 07:00 UTC
    ("Europe/Warsaw", "2026-03-28 23:30"),  # 02:00 becomes 03:00 at 01:00 UTC
    ("Australia/Lord_Howe", "2026-04-04 13:30"),  # 02:00 becomes 01:30 at 15:00 UTC
    ("Australia/Lord_Howe", "2026-10-03 14:00"),  # 02:00 becomes 02:30 at 15:30 UTC
    ("Europe/Warsaw", "2026-10-24 23:30"),  # 03:00 becomes 02:00 at 01:00 UTC
    ("America/New_York", "2026-11-01 04:30"),  # 02:00 becomes 01:00 at 06:00 UTC
]
NIGHT_JOBS = [
    "30 2 * * *", "0,30 2 * * *", "30 2,3 * * *", "0 2-4 * * *", "15 1 * * *", "30 1 * * *", "45 1 * * sun",
    "10 0-5 * * *", "*/15 * * * *", "*/30 2 * * *", "30 * * * *", "20 */2 * * *", "7-57/10 1-3 * * *", "0 3 * * *",
    "@hourly",
]  # fmt: skip
# Nothing that is due is still to be sent.
ALL_SENT = """
    SELECT count(*) FILTER (WHERE cron.next_due_at > %s) = count(*) AND count(*) > 0
    FROM metrics_executions AS schedule LEFT JOIN crons AS cron USING (cron_expression, timezone)
"""


def test_through_the_nights_of_a_shift_it_fires_what_the_reference_model_says(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    """Minute by minute of the database's clock, four hours a night."""
    run_scheduler()
    for zone, begin in NIGHTS:
        start = datetime.fromisoformat(f"{begin}+00:00")
        run(db, "DELETE FROM metrics_executions; DELETE FROM crons; DELETE FROM fires")
        set_clock(db, str(start))
        jobs = dict(zip(model_ids(len(NIGHT_JOBS)), NIGHT_JOBS, strict=True))
        for model, cron in jobs.items():
            schedule(db, model, cron, zone)

        for minute in range(1, 241):
            now = start + minute * MINUTE
            set_clock(db, str(now))
            wait_for(lambda now=now: one(db, ALL_SENT, now))  # type: ignore[misc]

        fired = [(model, message["due_at"]) for message in drain_queue(redis_client) for model in message["model_ids"]]
        expected = [
            (model, fire.isoformat(timespec="milliseconds"))
            for model, cron in jobs.items()
            for fire in cron_model.fires(cron, zone, start + MINUTE, start + 241 * MINUTE)
        ]
        assert sorted(fired) == sorted(expected)
