"""Recorded attempts at isolated models."""

import redis

from tests.support.databases import MODEL
from tests.support.workers import NOON
from worker.attempts import clear_attempt, record_attempt


def test_attempts_are_counted_anew_if_the_key_is_of_another_type(redis_client: redis.Redis) -> None:
    assert record_attempt(redis_client, MODEL, NOON, "a") == 1
    [key] = redis_client.scan_iter("metrics:begun:*")
    redis_client.set(key, "junk")

    clear_attempt(redis_client, MODEL, NOON, "a")
    assert record_attempt(redis_client, MODEL, NOON, "b") == 1
    assert record_attempt(redis_client, MODEL, NOON, "c") == 2
