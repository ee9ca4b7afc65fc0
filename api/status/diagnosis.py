"""Problems of the whole system, as sentences for an operator."""

from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta

from api.status.snapshot import FailingSpec, LateSpec, Leader, QueueState, SystemSnapshot
from core.leader_lock import LockHolder
from core.timestamps import iso

HEARTBEAT_TIMEOUT = timedelta(seconds=30)  # the leader has a heartbeat every few seconds
MAX_VALUE_LENGTH = 80  # characters that are quoted; a row that bypassed the validation trigger may have any number


def problems(system: SystemSnapshot, queue: QueueState | None, age_limit: timedelta) -> list[str]:
    """Return the problems, those of the scheduler first; queue is None where Redis is unavailable."""
    return [
        *scheduler_problems(system.leader, system.now),
        *_lock_problems(system.lock_holder),
        *_cron_spec_problems(system),
        *_queue_problems(queue, system.now, age_limit),
    ]


def scheduler_problems(leader: Leader, now: datetime) -> Iterator[str]:
    """Yield the problems of the scheduler."""
    if leader.looked_at is None:
        yield "no scheduler has ever looked for due models"
    elif leader.looked_at < now - HEARTBEAT_TIMEOUT:
        yield f"no scheduler has looked for due models since {iso(leader.looked_at)} ({leader.name} led)"
    if leader.error:
        yield f"the scheduler cannot send: {leader.error}"


def _lock_problems(holder: LockHolder | None) -> Iterator[str]:
    if holder and not holder.is_scheduler:
        yield f"no scheduler can lead: {holder.describe()}"


def _cron_spec_problems(system: SystemSnapshot) -> Iterator[str]:
    late, failing = system.late, system.failing
    if late.count:
        sentences = [f"{_quote(spec)} is due since {iso(spec.due_at)}" for spec in late.listed]
        verb = "is" if late.count == 1 else "are"
        yield f"{_number_of_specs(late.count)} {verb} late: {_join(sentences, late.count)}"
    if failing.count:
        sentences = [f"{_quote(spec)}: {spec.error}" for spec in failing.listed]
        yield f"{_number_of_specs(failing.count)} cannot run: {_join(sentences, failing.count)}"


def _queue_problems(queue: QueueState | None, now: datetime, age_limit: timedelta) -> Iterator[str]:
    if queue is None:
        yield "Redis does not answer"
        return
    if queue.oldest_queued_at and now - queue.oldest_queued_at > age_limit:
        yield from waiting_messages(queue)
    if queue.oldest_taken_at and queue.now - queue.oldest_taken_at > age_limit:
        yield from taken_messages(queue)


def waiting_messages(queue: QueueState) -> Iterator[str]:
    """Yield a sentence about the messages that wait for the workers, if there are any."""
    if queue.messages:
        count = "1 message waits" if queue.messages == 1 else f"{queue.messages} messages wait"
        since = f", the next one since {iso(queue.oldest_queued_at)}" if queue.oldest_queued_at else ""
        yield f"{count} for the workers{since}"


def taken_messages(queue: QueueState) -> Iterator[str]:
    """Yield a sentence about the messages that are taken and not finished, if there are any."""
    if queue.oldest_taken_at:
        count = "1 message" if queue.taken == 1 else f"{queue.taken} messages"
        yield f"workers have taken {count} and not finished, the oldest since {iso(queue.oldest_taken_at)}"


def _number_of_specs(count: int) -> str:
    return f"{count} {'pair' if count == 1 else 'pairs'} of cron expression and time zone"


def _quote(spec: LateSpec | FailingSpec) -> str:
    return f'"{spec.cron_expression:.{MAX_VALUE_LENGTH}}" in {spec.timezone:.{MAX_VALUE_LENGTH}}'


def _join(sentences: Sequence[str], count: int) -> str:
    """Join the sentences, and add how many are left out."""
    left_out = count - len(sentences)
    return "; ".join([*sentences, f"and {left_out} more"] if left_out > 0 else sentences)
