"""Attempts at single models of batches that were interrupted: a model that kills its process is given up."""

from datetime import datetime

import redis

from core.results.keys import score
from core.results.replies import reply_or_error, unless_wrong_type

ATTEMPT_TTL = 86400  # seconds; a message is redelivered much earlier, or never


def record_attempt(client: redis.Redis, model_id: str, due_at: datetime, token: str) -> int:
    """Record an attempt, identified by its token; return the number of recorded attempts at this run."""
    key = _attempts_key(model_id, due_at)
    with client.pipeline() as pipeline:
        pipeline.sadd(key, token)
        pipeline.expire(key, ATTEMPT_TTL)
        pipeline.scard(key)
        attempts = pipeline.execute(raise_on_error=False)[-1]
    if unless_wrong_type(attempts, None) is None:
        client.delete(key)
        return record_attempt(client, model_id, due_at, token)
    return int(attempts)


def clear_attempt(client: redis.Redis, model_id: str, due_at: datetime, token: str) -> None:
    """Remove an attempt whose process was stopped, not killed."""
    unless_wrong_type(reply_or_error(lambda: client.srem(_attempts_key(model_id, due_at), token)), 0)


def _attempts_key(model_id: str, due_at: datetime) -> str:
    return f"metrics:begun:{model_id}:{score(due_at)!r}"
