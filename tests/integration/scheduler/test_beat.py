"""Scheduler process under beat: signals, configuration, and nights with DST transitions."""

import signal
import time
from datetime import datetime, timedelta
from pathlib import Path

import pytest
import redis
from celery import Celery
from celery.exceptions import ImproperlyConfigured

from devstack import redis as local_redis
from devstack.services import SCHEDULER
from scheduler.leader import HEARTBEAT_INTERVAL
from tests.support import cron_model
from tests.support.celery_queue import drain_queue, published_messages
from tests.support.databases import (
    Connection,
    Databases,
    execute,
    fetch_value,
    model_ids,
    schedule,
    set_clock,
    wait_for,
)
from tests.support.processes import is_leader, running_service, runs_within
from tests.support.schedulers import (
    BEFORE_NOON,
    COUNT_SESSIONS,
    NOON,
    StartScheduler,
    leader_error,
    wait_for_cron_specs,
)

MINUTE = timedelta(minutes=1)

CELERY_BEAT = ["celery", "--quiet", "-A", "scheduler.app", "beat", "--scheduler", "scheduler.beat:DatabaseScheduler"]


def test_scheduler_recovers_after_an_outage_of_redis(
    databases: Databases, db: Connection, database_url: str, tmp_path: Path
) -> None:
    set_clock(db, BEFORE_NOON)
    schedule(db)
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_scheduler", database_url), "REDIS_URL": server.url}
        with running_service(SCHEDULER, env, tmp_path / "log") as scheduler:
            wait_for_cron_specs(db)
            server.process.kill()
            set_clock(db, NOON)
            wait_for(lambda: "Redis" in leader_error(db))

            server.process.start()

            wait_for(lambda: local_redis.is_ready(server.url) and published_messages(client))
            wait_for(lambda: fetch_value(db, "SELECT error FROM leader") is None)
            assert scheduler.popen.poll() is None


@pytest.mark.parametrize("command", [SCHEDULER, CELERY_BEAT])
def test_scheduler_ends_on_sigterm_and_releases_the_leader_lock(
    db: Connection, start_scheduler: StartScheduler, command: list[str]
) -> None:
    def time_to_stop() -> float:
        scheduler = start_scheduler(command)
        wait_for(lambda: is_leader(db, scheduler))
        started_at = time.monotonic()
        assert scheduler.stop() == 0
        seconds = time.monotonic() - started_at
        wait_for(lambda: fetch_value(db, COUNT_SESSIONS) == 0)  # the server notices the end a little later
        assert "Traceback" not in scheduler.output
        return seconds

    assert runs_within(time_to_stop, 5.0)


@pytest.mark.parametrize("delay", [0.3, 0.5, 0.7, 0.9])
def test_scheduler_ends_on_sigterm_while_it_starts(start_scheduler: StartScheduler, delay: float) -> None:
    scheduler = start_scheduler()
    time.sleep(delay)

    exit_code = scheduler.stop()

    assert exit_code in {0, -signal.SIGTERM}, scheduler.output  # the default action ends it before signals are handled
    assert "Traceback" not in scheduler.output


def test_new_cron_spec_gets_its_next_due_time_without_waiting_for_a_heartbeat(
    db: Connection, start_scheduler: StartScheduler
) -> None:
    """The benchmark measures how soon."""
    scheduler = start_scheduler()
    wait_for(lambda: is_leader(db, scheduler))
    heartbeat_at = fetch_value(db, "SELECT looked_at FROM leader")
    wait_for(lambda: fetch_value(db, "SELECT looked_at FROM leader") > heartbeat_at)

    schedule(db, cron="7 7 7 7 *")

    wait_for(lambda: fetch_value(db, "SELECT count(next_due_at) FROM crons") == 1, seconds=HEARTBEAT_INTERVAL - 0.5)


def test_scheduler_refuses_a_beat_schedule(
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
NIGHT_CRONS = [
    "30 2 * * *", "0,30 2 * * *", "30 2,3 * * *", "0 2-4 * * *", "15 1 * * *", "30 1 * * *", "45 1 * * sun",
    "10 0-5 * * *", "*/15 * * * *", "*/30 2 * * *", "30 * * * *", "20 */2 * * *", "7-57/10 1-3 * * *", "0 3 * * *",
    "@hourly",
]  # fmt: skip
# Everything that is due has been published.
ALL_PUBLISHED = """
    SELECT count(*) FILTER (WHERE cron.next_due_at > %s) = count(*) AND count(*) > 0
    FROM metrics_executions AS schedule LEFT JOIN crons AS cron USING (cron_expression, timezone)
"""


def test_scheduler_publishes_the_due_times_of_the_reference_model_in_nights_with_dst_transitions(
    db: Connection, start_scheduler: StartScheduler, redis_client: redis.Redis
) -> None:
    """Minute by minute of the database's clock, four hours a night."""
    start_scheduler()
    for zone, start_text in NIGHTS:
        start = datetime.fromisoformat(f"{start_text}+00:00")
        execute(db, "DELETE FROM metrics_executions; DELETE FROM crons; DELETE FROM fires")
        set_clock(db, str(start))
        crons = dict(zip(model_ids(len(NIGHT_CRONS)), NIGHT_CRONS, strict=True))
        for model_id, cron in crons.items():
            schedule(db, model_id, cron, zone)

        for minute in range(1, 241):
            now = start + minute * MINUTE
            set_clock(db, str(now))
            wait_for(lambda now=now: fetch_value(db, ALL_PUBLISHED, now))  # type: ignore[misc]

        published = [
            (model_id, message["due_at"]) for message in drain_queue(redis_client) for model_id in message["model_ids"]
        ]
        expected = [
            (model_id, due_at.isoformat(timespec="milliseconds"))
            for model_id, cron in crons.items()
            for due_at in cron_model.fire_times(cron, zone, start + MINUTE, start + 241 * MINUTE)
        ]
        assert sorted(published) == sorted(expected)
