"""The scheduler as a process: who leads, and what it survives."""

import signal
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis
from celery import Celery
from celery.exceptions import ImproperlyConfigured
from psycopg2 import OperationalError

from local import redis as local_redis
from local.services import SCHEDULER
from scheduler import leadership
from scheduler.leadership import try_to_lead
from tests.databases import MODEL, Connection, Databases, one, rows, run, schedule, set_clock, wait_for
from tests.processes import Service, service
from tests.queue import sent
from tests.scheduler.conftest import BEFORE, NOON
from worker import postgres

Run = Callable[[], Service]


@pytest.fixture
def run_scheduler(databases: Databases, database_url: str, redis_url: str, tmp_path: Path) -> Iterator[Run]:
    with ExitStack() as services:
        env = {"DATABASE_URL": databases.url_as("metrics_scheduler", database_url), "REDIS_URL": redis_url}

        def start() -> Service:
            log = tmp_path / f"scheduler-{len(list(tmp_path.iterdir()))}.log"
            return services.enter_context(service(SCHEDULER, env, log))

        yield start


def leads(db: Connection, scheduler: Service) -> bool:
    return (one(db, "SELECT name FROM leader") or "").endswith(f":{scheduler.popen.pid}")


def leader_and_standby(db: Connection, run_scheduler: Run) -> tuple[Service, Service]:
    """Start two schedulers half a minute before noon, with one schedule to run."""
    set_clock(db, BEFORE)
    schedule(db)
    first = run_scheduler()
    wait_for(lambda: leads(db, first))
    second = run_scheduler()
    wait_for(lambda: "Starting" in second.output)
    return first, second


def test_two_at_once_have_one_leader_and_the_standby_takes_over(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    first, second = leader_and_standby(db, run_scheduler)
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
    time.sleep(1.0)  # the standby has tried by then
    assert leads(db, first)

    first.kill()
    killed_at = time.monotonic()
    wait_for(lambda: leads(db, second))
    took = time.monotonic() - killed_at
    set_clock(db, NOON)

    wait_for(lambda: sent(redis_client))
    assert [message["model_ids"] for message in sent(redis_client)] == [[MODEL]]
    assert took < 2.0


def test_a_leader_that_is_stopped_is_replaced_and_does_no_harm_when_it_goes_on(
    db: Connection, run_scheduler: Run, redis_client: redis.Redis
) -> None:
    first, second = leader_and_standby(db, run_scheduler)

    first.popen.send_signal(signal.SIGSTOP)
    wait_for(lambda: leads(db, second), seconds=15)
    first.popen.send_signal(signal.SIGCONT)
    wait_for(lambda: "PostgreSQL" in first.output)
    set_clock(db, NOON)

    wait_for(lambda: sent(redis_client))
    time.sleep(0.5)  # for what should not come
    assert len(sent(redis_client)) == 1
    assert leads(db, second)
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
    monkeypatch.setattr(leadership, "SILENCE", 0)
    url = databases.url_as("metrics_scheduler", database_url)
    first, second = postgres.connect(url, "first"), postgres.connect(url, "second")
    assert try_to_lead(first)

    wait_for(lambda: try_to_lead(second), seconds=2)

    with pytest.raises(OperationalError):
        run(first, "SELECT 1")
    first.close()
    second.close()


def test_it_goes_on_when_its_session_is_ended(db: Connection, run_scheduler: Run, redis_client: redis.Redis) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    scheduler = run_scheduler()
    wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)

    run(db, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%scheduler%'")
    set_clock(db, NOON)

    wait_for(lambda: sent(redis_client))
    assert scheduler.popen.poll() is None


def test_it_goes_on_when_redis_was_away(
    databases: Databases, db: Connection, database_url: str, tmp_path: Path
) -> None:
    set_clock(db, BEFORE)
    schedule(db)
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_scheduler", database_url), "REDIS_URL": server.url}
        with service(SCHEDULER, env, tmp_path / "log") as scheduler:
            wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 1)
            server.process.kill()
            set_clock(db, NOON)
            wait_for(lambda: "Redis" in (one(db, "SELECT error FROM leader") or ""))

            server.process.start()

            wait_for(lambda: local_redis.answers(server.url) and sent(client))
            wait_for(lambda: one(db, "SELECT error FROM leader") is None)
            assert scheduler.popen.poll() is None


def test_it_ends_on_sigterm_and_frees_the_lead(db: Connection, run_scheduler: Run) -> None:
    scheduler = run_scheduler()
    wait_for(lambda: leads(db, scheduler))

    started = time.monotonic()
    assert scheduler.stop() == 0
    assert time.monotonic() - started < 5.0

    assert (
        rows(
            db,
            "SELECT FROM pg_stat_activity WHERE application_name LIKE '%%scheduler%%' AND datname = current_database()",
        )
        == []
    )
    assert "Traceback" not in scheduler.output


@pytest.mark.parametrize("delay", [0.3, 0.5, 0.7, 0.9])
def test_it_ends_on_sigterm_while_it_starts(run_scheduler: Run, delay: float) -> None:
    scheduler = run_scheduler()
    time.sleep(delay)

    assert scheduler.stop() in {0, -signal.SIGTERM}  # before it handles signals, the signal itself ends it

    assert "Traceback" not in scheduler.output


def test_a_new_cron_has_its_next_moment_at_once(db: Connection, run_scheduler: Run) -> None:
    """The bench measures how soon; here it comes without the look that the scheduler takes every few seconds."""
    scheduler = run_scheduler()
    wait_for(lambda: leads(db, scheduler))
    wait_for(lambda: "leads" in scheduler.output)
    time.sleep(0.3)  # it waits by now

    schedule(db, cron="7 7 7 7 *")

    wait_for(lambda: one(db, "SELECT count(next_due_at) FROM crons") == 1, seconds=1)


def test_it_refuses_a_beat_schedule(
    databases: Databases, database_url: str, redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", database_url)
    monkeypatch.setenv("REDIS_URL", redis_url)
    from scheduler.beat import DatabaseScheduler  # noqa: PLC0415  # reads the environment

    with Celery(broker=redis_url) as app:
        app.conf.beat_schedule = {"tidy up": {"task": "tidy", "schedule": 5.0}}
        with pytest.raises(ImproperlyConfigured, match="tidy up"):
            DatabaseScheduler(app=app)
