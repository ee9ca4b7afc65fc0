"""Redis keys that all models share."""

import redis

from core.queue.keys import QUEUE
from core.shared_keys import TYPES, remove_wrong_types


def test_shared_keys_of_other_types_are_deleted_and_the_others_stay(redis_client: redis.Redis) -> None:
    redis_client.lpush(QUEUE, "message")
    for name in set(TYPES) - {QUEUE}:
        redis_client.xadd(name, {"a": "b"})

    assert remove_wrong_types(redis_client)
    assert not remove_wrong_types(redis_client)
    assert redis_client.keys() == [QUEUE.encode()]
