"""Redis clients with time limits."""

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry


def create_client(redis_url: str, *, timeout: float = 5, single_connection: bool = False) -> redis.Redis:
    """Return a client with a time limit (seconds) on each command.

    A client with a single connection, for one thread only, is faster, since it needs no pool; it connects at once, so
    that this may raise RedisError.
    """
    return redis.Redis.from_url(
        redis_url,
        socket_timeout=timeout,
        socket_connect_timeout=2,
        socket_keepalive=True,
        single_connection_client=single_connection,
        # One retry, for a connection that was closed unnoticed; then it is the caller who decides when to try again.
        retry=Retry(NoBackoff(), 1, supported_errors=(redis.ConnectionError,)),
    )
