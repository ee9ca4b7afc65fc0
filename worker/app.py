"""The Celery application of the workers."""

from typing import Any

from celery import Celery
from kombu.transport import redis
from redis.exceptions import ConnectionError  # noqa: A004  # redis-py calls it so

from worker import messages
from worker.settings import Settings, read

GRACE = 30  # seconds from the soft time limit to the hard one, and from there to the next delivery

settings = read(Settings.from_env)


class Channel(redis.Channel):
    """A channel whose connection was lost while a batch was at work.

    kombu and Celery still want to give the batch's message back on it, or to
    acknowledge it. Without an address to connect to, the AttributeError would end
    the worker; as a lost connection it is logged, and the batch is delivered again.
    """

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        if self.connection is None or self.connection.client is None:
            raise ConnectionError("the connection to Redis was lost")
        params: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[no-untyped-call]
        return params


redis.Transport.Channel = Channel

app = Celery("worker", broker=settings.redis_url, include=["worker.tasks"])
app.conf.update(
    accept_content=["json"],
    broker_connection_max_retries=None,
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        # A killed worker's batch comes back after this; longer than any batch takes, or it would run twice at once.
        "visibility_timeout": settings.time_limit + 2 * GRACE,
        "socket_connect_timeout": messages.CONNECT_TIMEOUT,
        "socket_timeout": messages.SOCKET_TIMEOUT,
        "socket_keepalive": True,
    },
    broker_use_ssl=messages.broker_tls(settings.redis_url),
    task_acks_late=True,
    task_acks_on_timeout=False,
    task_default_queue=messages.QUEUE,
    task_ignore_result=True,
    task_reject_on_worker_lost=True,
    task_soft_time_limit=settings.time_limit,
    task_time_limit=settings.time_limit + GRACE,
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=2,
)
