"""kombu's transport with this package's channel, and reconnecting with short pauses."""

import random
from typing import Any

import celery.app.amqp
from kombu import connection as kombu_connection
from kombu.transport import redis as kombu_redis

from worker.transport import channel

RECONNECT_STEP = (0.3, 0.6)  # seconds; random, so that not all workers reconnect at once
MAX_RECONNECT_STEPS = 8


class Transport(kombu_redis.Transport):
    """kombu's Redis transport with this package's channel."""

    Channel = channel.Channel


class Connection(kombu_connection.Connection):
    """Reconnects every few seconds; Celery's pauses would grow to 30 s."""

    def ensure_connection(self, *args: Any, **kwargs: Any) -> kombu_connection.Connection:
        """Return when connected."""
        step = random.uniform(*RECONNECT_STEP)  # noqa: S311  # not cryptography
        pauses = {"interval_start": step, "interval_step": step, "interval_max": MAX_RECONNECT_STEPS * step}
        connected: kombu_connection.Connection = super().ensure_connection(*args, **(pauses | kwargs))
        return connected


class AMQP(celery.app.amqp.AMQP):  # type: ignore[misc]  # Celery has no types
    """Celery's AMQP with this package's connection."""

    Connection = Connection
