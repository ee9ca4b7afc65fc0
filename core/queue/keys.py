"""Names of the queue and of the Redis keys beside it, and the limit on each command."""

import ssl

QUEUE = "celery"  # Redis list: messages that wait for a worker
TAKEN_KEY = "celery:taken"  # Redis list: messages received, not yet in UNACKED_KEY; for less than a millisecond
UNACKED_KEY = "unacked"  # Redis hash of kombu: messages that workers have received and not finished
UNACKED_INDEX_KEY = "unacked_index"  # Redis sorted set of kombu: the same messages, by the time of receipt
CHECKPOINT_KEY = "metrics:published"  # Redis string: when the last message was sent, to detect that Redis lost data

REDIS_TIMEOUT = 5  # seconds; to connect to Redis, and for each reply


def broker_tls(redis_url: str) -> dict[str, ssl.VerifyMode] | None:
    """Return Celery's broker_use_ssl: without it, a rediss:// URL without options would accept any certificate."""
    return {"ssl_cert_reqs": ssl.CERT_REQUIRED} if redis_url.startswith("rediss://") else None
