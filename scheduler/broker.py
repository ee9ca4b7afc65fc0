"""Redis as the scheduler sees it: a queue that takes messages, and a memory that may forget."""

import logging
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

log = logging.getLogger(__name__)

FULL = 0.9  # of maxmemory; the rest is for the workers, who could not even take a message from a Redis that is full

# A Redis that restarted while messages were sent must not look as if it had them all: neither one that returned
# empty or with older data, nor one that lost no more than the messages of the last second.
REMEMBER = """
local same = string.find(redis.call('INFO', 'server'), 'run_id:' .. ARGV[3], 1, true)
if same and (redis.call('GET', KEYS[1]) or '') == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2])
end
"""

LOST = (redis.RedisError, OperationalError, OSError)  # what any of the methods may raise


class Sent(NamedTuple):
    """How much was sent."""

    models: int
    messages: int


class State(NamedTuple):
    """What Redis holds at present."""

    waiting: int  # messages
    used_memory: int  # bytes
    maxmemory: int  # bytes; 0 where there is no limit
    marker: str  # what was remembered last; empty where nothing is

    @property
    def full(self) -> bool:
        """Whether what is left should be left to the workers."""
        return 0 < self.maxmemory * FULL < self.used_memory


class Broker:
    """Sends messages, without retries: the scheduler has its own idea of when to try again."""

    def __init__(self, app: Celery, client: redis.Redis) -> None:
        """Send through the app, and look at the queue with the client; both are of one Redis."""
        self._app = app
        self._client = client
        self._marker = ""
        self._run_id = ""
        self._remember = client.register_script(REMEMBER)

    def warm_up(self) -> None:
        """Load and connect what the first message would otherwise wait for, some 50 ms."""
        with Connection("memory://") as nowhere:  # type: ignore[no-untyped-call]  # kombu is typed in part
            self._app.send_task(messages.CALCULATE, connection=nowhere)
        with self._app.producer_pool.acquire(block=True) as producer:
            producer.maybe_declare(self._app.amqp.queues[messages.QUEUE])
        memory: Any = self._client.info("memory")
        if (policy := memory["maxmemory_policy"]) != "noeviction":
            log.warning("Redis may evict messages and results (maxmemory-policy %s): set noeviction", policy)

    def state(self) -> State:
        """Return what Redis holds at present."""
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.llen(messages.QUEUE)
            pipeline.get(messages.PUBLISHED)
            pipeline.info("memory")
            pipeline.info("server")
            waiting, marker, memory, server = pipeline.execute()
        self._marker = (marker or b"").decode()
        self._run_id = server["run_id"]
        return State(waiting, memory["used_memory"], memory["maxmemory"], self._marker)

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

    def remember(self, marker: str) -> None:
        """Note the marker beside the messages that were sent, unless Redis forgot or restarted since the last look."""
        self._remember(keys=[messages.PUBLISHED], args=[self._marker, marker, self._run_id])
        self._marker = marker
