"""Leaders that a test runs iteration by iteration, and schedulers as processes."""

from collections.abc import Callable

from scheduler.leader import Leader
from tests.support.databases import Connection, execute, fetch_value, set_clock, wait_for
from tests.support.processes import Service, is_leader

BEFORE_NOON = "2026-11-24 11:59:30+00"
NOON = "2026-11-24 12:00:00+00"
SETTINGS = {"DATABASE_URL": "postgresql://unused", "REDIS_URL": "redis://unused", "BATCH_SIZE": "10"}
MAX_ITERATIONS = 10_000

COUNT_SESSIONS = """
    SELECT count(*) FROM pg_stat_activity
    WHERE application_name LIKE 'cyclic-metrics scheduler %' AND datname = current_database()
"""

StartLeader = Callable[..., Leader]
LeaderAt = Callable[..., Leader]
StartScheduler = Callable[..., Service]


def run_leader_until_idle(leader: Leader) -> None:
    """Run iterations of the leader until there is nothing to do by the database's clock."""
    execute(leader._database, "SELECT")  # noqa: SLF001  # receives the notifications of what was committed before
    for _ in range(MAX_ITERATIONS):
        if not leader.step():
            return
    raise AssertionError(f"the leader is not idle after {MAX_ITERATIONS} iterations")


def run_leader_at(db: Connection, leader: Leader, *minutes: str) -> None:
    """Run the leader at each of these minutes of 24 November 2026, such as 12:00, until it is idle."""
    for minute in minutes:
        set_minute(db, minute)
        run_leader_until_idle(leader)


def set_minute(db: Connection, minute: str) -> None:
    """Set the clock to a full minute of 24 November 2026."""
    set_clock(db, f"2026-11-24 {minute}:00+00")


def leader_error(db: Connection) -> str:
    """Return the error in the row of the leader; empty if there is none."""
    return fetch_value(db, "SELECT error FROM leader") or ""


def wait_for_cron_specs(db: Connection, count: int = 1) -> None:
    """Wait until so many cron specs have their row in crons."""
    wait_for(lambda: fetch_value(db, "SELECT count(*) FROM crons") == count)


def start_standby(db: Connection, leader: Service, start_scheduler: StartScheduler) -> Service:
    """Start a second scheduler, and wait until it is connected; the first one leads."""
    wait_for(lambda: is_leader(db, leader))
    standby = start_scheduler()
    wait_for(lambda: fetch_value(db, COUNT_SESSIONS) == 2)
    return standby
