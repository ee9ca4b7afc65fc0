"""Redis clients with time limits."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def create_client(redis_url: str, *, patience: float = 5, of_one_thread: bool = False) -> redis.Redis:
    """Return a client of Redis with a time limit (seconds) on whatever it does.

    One thread's own client needs no pool, and is quicker by that; it connects here, so that this may raise RedisError.
    """
    return redis.Redis.from_url(
        redis_url,
        socket_timeout=patience,
        socket_connect_timeout=2,
        socket_keepalive=True,
        single_connection_client=of_one_thread,
        # Once, for a connection that went away unnoticed; after that, callers know when to try again.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )
