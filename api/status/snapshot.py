"""What PostgreSQL and Redis say of the whole system."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

import redis
from psycopg2.extensions import cursor

from core.cron.spec import CronSpec
from core.leader_lock import LockHolder, lock_holder
from core.queue.batch import queued_at_of
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY

T = TypeVar("T")

SHOWN = 5  # pairs that are named; all are counted
HOLDER_AFTER = timedelta(seconds=10)  # of silence, the session that holds the lock of the leader is looked up

LEADER = "SELECT public.schedule_now(), name, since, looked_at, error FROM public.leader"

# The count is a query of its own: it stays in the index, and the pairs that are shown are the first ones of it.
LATE = """
    SELECT cron_expression, timezone, next_due_at,
        (SELECT count(*) FROM public.crons WHERE next_due_at < %(now)s - public.late_after())
    FROM public.crons
    WHERE next_due_at < %(now)s - public.late_after()
    ORDER BY next_due_at, cron_expression, timezone
    LIMIT %(shown)s
"""
ERRORS = """
    SELECT cron_expression, timezone, error, count(*) OVER ()
    FROM public.crons AS cron
    -- A pair whose rows were mended, paused or deleted stays for some minutes, and troubles nobody. The inner LIMIT
    -- keeps the planner from joining a million schedules with what are a few errors.
    WHERE error IS NOT NULL AND (
        SELECT true FROM public.metrics_executions AS schedule
        WHERE schedule.enabled AND schedule.cron_expression = cron.cron_expression
            AND schedule.timezone = cron.timezone LIMIT 1)
    ORDER BY cron_expression, timezone
    LIMIT %(shown)s
"""
LAST_FIRE = """
    SELECT due_at, lag, duration, crons, models, messages, skipped FROM public.fires
    WHERE fired_at IS NOT NULL ORDER BY due_at DESC LIMIT 1
"""


class Leader(NamedTuple):
    """The scheduler that leads, or led."""

    name: str | None
    since: datetime | None
    looked_at: datetime | None
    error: str | None


@dataclass(frozen=True)
class Counted(Generic[T]):
    """How many pairs there are of a kind, and the first of them, each with what makes it one."""

    count: int
    pairs: list[tuple[CronSpec, T]]


class Fire(NamedTuple):
    """A row of fires."""

    due_at: datetime
    lag: timedelta
    duration: timedelta | None
    crons: int
    models: int
    messages: int
    skipped: int


class System(NamedTuple):
    """What the tables say."""

    now: datetime
    leader: Leader
    late: Counted[datetime]  # with the moment that passed some time ago; the oldest first
    errors: Counted[str]  # with the reason why it cannot be fired, though it is in use
    last_fire: Fire | None
    lock_holder: LockHolder | None = None  # looked up only where no leader looks


class Queue(NamedTuple):
    """What waits for the workers, and what they have taken and not finished."""

    now: datetime  # by the clock of Redis, as oldest_taken_at
    messages: int
    oldest_queued_at: datetime | None  # of the message that comes next; None where it is not one of ours
    taken: int
    oldest_taken_at: datetime | None


def look(statements: cursor) -> System:
    """Return what the tables say."""
    statements.execute(LEADER)
    row = statements.fetchone()
    assert row is not None
    now, *leader = row
    values = {"now": now, "shown": SHOWN}
    statements.execute(LATE, values)
    late = statements.fetchall()
    statements.execute(ERRORS, values)
    errors = statements.fetchall()
    statements.execute(LAST_FIRE)
    fire = statements.fetchone()
    known = Leader(*leader)
    holder = lock_holder(statements) if known.looked_at is None or known.looked_at < now - HOLDER_AFTER else None
    return System(now, known, _counted(late), _counted(errors), Fire(*fire) if fire else None, holder)


def _counted(rows: list[tuple[str, str, T, int]]) -> Counted[T]:
    """Each row has the count of all of them at its end."""
    count = rows[0][-1] if rows else 0
    return Counted(count, [(CronSpec(cron, zone), what) for cron, zone, what, _ in rows])


def workers(client: redis.Redis) -> int:
    """Return how many workers are connected: each listens for Celery's remote control, on a connection of its own."""
    database = str(client.get_connection_kwargs().get("db") or 0)
    return sum(each["psub"] != "0" and each["db"] == database for each in client.client_list(_type="pubsub"))


def queue(client: redis.Redis) -> Queue:
    """Return the state of the queue, in one round trip."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.llen(QUEUE)
        pipeline.lindex(QUEUE, -1)  # the next one to be taken
        pipeline.zcard(UNACKED_INDEX_KEY)
        pipeline.zrange(UNACKED_INDEX_KEY, 0, 0, withscores=True)
        (seconds, microseconds), waiting, following, taken, oldest = pipeline.execute()
    return Queue(
        now=datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds),
        messages=waiting,
        oldest_queued_at=queued_at_of(following) if following else None,
        taken=taken,
        oldest_taken_at=_instant(oldest[0][1]) if oldest else None,
    )


def _instant(seconds: float) -> datetime | None:
    """Return an instant in UTC; None for a number beyond all years, which no worker has written."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
