"""Status of the whole system, read from PostgreSQL and Redis."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Generic, NamedTuple, TypeVar

import redis
from psycopg2.extensions import cursor

from api.rows import fetch_record, fetch_rows, to_record
from core.leader_lock import LockHolder, lock_holder
from core.queue.batch import queued_at_of
from core.queue.keys import QUEUE, UNACKED_INDEX_KEY

MAX_LISTED = 5  # cron specs that are listed; all are counted
LOCK_HOLDER_DELAY = timedelta(seconds=10)  # without a heartbeat, until the session with the leader lock is looked up

LEADER = "SELECT public.schedule_now() AS now, name, since, looked_at, error FROM public.leader"

# The count is a query of its own: it stays in the index, and the cron specs that are listed are the first ones of it.
LATE = """
    SELECT cron_expression, timezone, next_due_at AS due_at,
        (SELECT count(*) FROM public.crons WHERE next_due_at < %(now)s - public.late_after()) AS total
    FROM public.crons
    WHERE next_due_at < %(now)s - public.late_after()
    ORDER BY next_due_at, cron_expression, timezone
    LIMIT %(limit)s
"""
FAILING = """
    SELECT cron_expression, timezone, error, count(*) OVER () AS total
    FROM public.crons AS cron
    -- A cron spec whose schedules were corrected, paused or deleted stays for some minutes, without effect. The inner
    -- LIMIT keeps the planner from joining a million schedules with what are a few errors.
    WHERE error IS NOT NULL AND (
        SELECT true FROM public.metrics_executions AS schedule
        WHERE schedule.enabled AND schedule.cron_expression = cron.cron_expression
            AND schedule.timezone = cron.timezone LIMIT 1)
    ORDER BY cron_expression, timezone
    LIMIT %(limit)s
"""
LAST_FIRE = """
    SELECT due_at, lag, duration, crons, models, messages, skipped FROM public.fires
    WHERE fired_at IS NOT NULL ORDER BY due_at DESC LIMIT 1
"""


class Leader(NamedTuple):
    """The scheduler that leads, or led last."""

    name: str | None
    since: datetime | None
    looked_at: datetime | None  # last heartbeat
    error: str | None


class LateSpec(NamedTuple):
    """A cron spec whose due time passed some time ago."""

    cron_expression: str
    timezone: str
    due_at: datetime


class FailingSpec(NamedTuple):
    """A cron spec that schedules use and that cannot run."""

    cron_expression: str
    timezone: str
    error: str


Spec = TypeVar("Spec", LateSpec, FailingSpec)


@dataclass(frozen=True)
class CountedCronSpecs(Generic[Spec]):
    """The number of cron specs of a kind, and the first of them."""

    count: int
    listed: list[Spec]


class Fire(NamedTuple):
    """A row of fires; lag is None where all of its models were skipped, duration while they are published."""

    due_at: datetime
    lag: timedelta | None
    duration: timedelta | None
    crons: int
    models: int
    messages: int
    skipped: int


class SystemSnapshot(NamedTuple):
    """State of the scheduler, from its tables."""

    now: datetime
    leader: Leader
    late: CountedCronSpecs[LateSpec]  # the oldest first
    failing: CountedCronSpecs[FailingSpec]
    last_fire: Fire | None
    lock_holder: LockHolder | None = None  # looked up only without a recent heartbeat


class QueueState(NamedTuple):
    """Messages that wait for the workers, and those taken and not finished."""

    now: datetime  # by the clock of Redis, as oldest_taken_at
    messages: int
    oldest_queued_at: datetime | None  # of the next message; None where that was not sent by the scheduler
    taken: int
    oldest_taken_at: datetime | None


def read_snapshot(cur: cursor) -> SystemSnapshot:
    """Return the state of the scheduler."""
    cur.execute(LEADER)
    [row] = fetch_rows(cur)
    now, leader = row["now"], to_record(row, Leader)
    values = {"now": now, "limit": MAX_LISTED}
    cur.execute(LATE, values)
    late = _counted(cur, LateSpec)
    cur.execute(FAILING, values)
    failing = _counted(cur, FailingSpec)
    cur.execute(LAST_FIRE)
    last_fire = fetch_record(cur, Fire)
    is_silent = leader.looked_at is None or leader.looked_at < now - LOCK_HOLDER_DELAY
    return SystemSnapshot(now, leader, late, failing, last_fire, lock_holder(cur) if is_silent else None)


def _counted(cur: cursor, spec_type: type[Spec]) -> CountedCronSpecs[Spec]:
    rows = fetch_rows(cur)
    return CountedCronSpecs(rows[0]["total"] if rows else 0, [to_record(row, spec_type) for row in rows])


def count_workers(client: redis.Redis) -> int:
    """Return the number of connected workers: each has one connection that listens for Celery's remote control."""
    database = str(client.get_connection_kwargs().get("db") or 0)
    connections = client.client_list(_type="pubsub")
    return sum(connection["psub"] != "0" and connection["db"] == database for connection in connections)


def read_queue(client: redis.Redis) -> QueueState:
    """Return the state of the queue, in one round trip."""
    with client.pipeline(transaction=False) as pipeline:
        pipeline.time()
        pipeline.llen(QUEUE)
        pipeline.lindex(QUEUE, -1)  # the next one to be taken
        pipeline.zcard(UNACKED_INDEX_KEY)
        pipeline.zrange(UNACKED_INDEX_KEY, 0, 0, withscores=True)
        (seconds, microseconds), messages, next_message, taken, oldest_taken = pipeline.execute()
    return QueueState(
        now=datetime.fromtimestamp(seconds, UTC) + timedelta(microseconds=microseconds),
        messages=messages,
        oldest_queued_at=queued_at_of(next_message) if next_message else None,
        taken=taken,
        oldest_taken_at=_timestamp(oldest_taken[0][1]) if oldest_taken else None,
    )


def _timestamp(seconds: float) -> datetime | None:
    """Return a timestamp in UTC; None beyond the range of datetime, which no worker writes."""
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None
