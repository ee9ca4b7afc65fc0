"""What is wrong with the whole system, in words for an operator."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from api.status.snapshot import Leader, Queue, System
from core.cron.spec import CronSpec
from core.leader_lock import LockHolder
from core.timestamps import iso

SILENT_AFTER = timedelta(seconds=30)  # the leader looks every few seconds
LONGEST_EXPRESSION = 80  # characters of it that are shown; a row that got past the gate may have any number


def problems(system: System, queue: Queue | None, age_limit: timedelta) -> list[str]:
    """Return what is wrong, the scheduler's part first; queue is None where Redis does not answer."""
    return [
        *scheduler(system.leader, system.now),
        *_blocked(system.lock_holder),
        *_pairs(system),
        *_queue(queue, system.now, age_limit),
    ]


def scheduler(leader: Leader, now: datetime) -> Iterator[str]:
    """Yield what is wrong with the scheduler."""
    if leader.looked_at is None:
        yield "no scheduler has ever looked for due models"
    elif leader.looked_at < now - SILENT_AFTER:
        yield f"no scheduler has looked for due models since {iso(leader.looked_at)} ({leader.name} led)"
    if leader.error:
        yield f"the scheduler cannot send: {leader.error}"


def _blocked(holder: LockHolder | None) -> Iterator[str]:
    if holder and not holder.is_scheduler:
        yield f"no scheduler can lead: {holder.describe()}"


def _pairs(system: System) -> Iterator[str]:
    late, errors = system.late, system.errors
    if late.count:
        named = [f"{_name(pair)} is due since {iso(due_at)}" for pair, due_at in late.pairs]
        yield f"{_number_of_pairs(late.count)} {'is' if late.count == 1 else 'are'} late: {_listed(named, late.count)}"
    if errors.count:
        named = [f"{_name(pair)}: {reason}" for pair, reason in errors.pairs]
        yield f"{_number_of_pairs(errors.count)} cannot run: {_listed(named, errors.count)}"


def _queue(queue: Queue | None, now: datetime, age_limit: timedelta) -> Iterator[str]:
    if queue is None:
        yield "Redis does not answer"
        return
    if queue.oldest_queued_at and now - queue.oldest_queued_at > age_limit:
        yield from waiting(queue)
    if queue.oldest_taken_at and queue.now - queue.oldest_taken_at > age_limit:
        yield from taken(queue)


def waiting(queue: Queue) -> Iterator[str]:
    """Yield what waits for the workers."""
    if queue.messages:
        count = "1 message waits" if queue.messages == 1 else f"{queue.messages} messages wait"
        since = f", the next one since {iso(queue.oldest_queued_at)}" if queue.oldest_queued_at else ""
        yield f"{count} for the workers{since}"


def taken(queue: Queue) -> Iterator[str]:
    """Yield what the workers have taken and not finished."""
    if queue.oldest_taken_at:
        count = "1 message" if queue.taken == 1 else f"{queue.taken} messages"
        yield f"workers have taken {count} and not finished, the oldest since {iso(queue.oldest_taken_at)}"


def _number_of_pairs(count: int) -> str:
    return f"{count} {'pair' if count == 1 else 'pairs'} of cron expression and time zone"


def _name(pair: CronSpec) -> str:
    return f'"{pair.cron_expression:.{LONGEST_EXPRESSION}}" in {pair.timezone:.{LONGEST_EXPRESSION}}'


def _listed(named: Sequence[str], count: int) -> str:
    """Join what is named, and say how many are not."""
    more = count - len(named)
    return "; ".join([*named, f"and {more} more"] if more > 0 else named)
