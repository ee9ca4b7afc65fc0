"""Redis as the scheduler sees it: a queue that takes messages, and a memory that may forget."""

from collections.abc import Generator
from contextlib import closing
from datetime import datetime
from typing import Any, NamedTuple

import redis
from celery import Celery
from kombu.connection import Connection
from kombu.exceptions import OperationalError

from worker import messages
from worker.messages import Batch

# A Redis that restarted empty while messages were sent must not look as if it had them all.
REMEMBER = """
if (redis.call('GET', KEYS[1]) or '') == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2])
end
"""

LOST = (redis.RedisError, OperationalError, OSError)  # what any of the methods may raise


class Sent(NamedTuple):
    """How much was sent."""

    models: int
    messages: int


class State(NamedTuple):
    """How many messages wait, and up to which moment all were sent, as far as Redis remembers."""

    waiting: int
    published: datetime | None


class Broker:
    """Sends messages, without retries: the scheduler has its own idea of when to try again."""

    def __init__(self, app: Celery, client: redis.Redis) -> None:
        """Send through the app, and look at the queue with the client; both are of one Redis."""
        self._app = app
        self._client = client
        self._seen = b""
        self._remember = client.register_script(REMEMBER)

    def warm_up(self) -> None:
        """Load and connect what the first message would otherwise wait for, some 50 ms."""
        with Connection("memory://") as nowhere:  # type: ignore[no-untyped-call]  # kombu is typed in part
            self._app.send_task(messages.CALCULATE, connection=nowhere)
        with self._app.producer_pool.acquire(block=True) as producer:
            producer.maybe_declare(self._app.amqp.queues[messages.QUEUE])

    def state(self) -> State:
        """Return what Redis holds at present."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.llen(messages.QUEUE)
            pipeline.get(messages.PUBLISHED)
            waiting, published = pipeline.execute()
        self._seen = published or b""
        return State(waiting, datetime.fromisoformat(published.decode()) if published else None)

    def send(self, message: messages.Message) -> None:
        """Put one message into the queue."""
        with self._app.producer_pool.acquire(block=True) as producer:
            self._app.send_task(**message._asdict(), producer=producer, retry=False)

    def send_models(self, batches: Generator[list[tuple[Any, ...]]], due_at: datetime, now: datetime) -> Sent:
        """Send each batch of rows of one model id as one message, and close the batches."""
        models = count = 0
        with closing(batches):
            for rows in batches:
                self.send(Batch([model_id for (model_id,) in rows], due_at).message(queued_at=now))
                models += len(rows)
                count += 1
        return Sent(models, count)

    def remember(self, due_at: datetime) -> None:
        """Note that the messages of every moment up to this one are sent, unless Redis forgot since the last look."""
        self._remember(keys=[messages.PUBLISHED], args=[self._seen, due_at.isoformat()])
