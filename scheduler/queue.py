"""Redis as the scheduler sees it: a queue that takes messages, and a memory that may forget."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import redis

from core.queue import celery_message
from core.queue.batch import Batch, TaskMessage
from core.queue.keys import CHECKPOINT_KEY, QUEUE
from core.results.repository import ResultStore
from core.shared_keys import remove_wrong_types

log = logging.getLogger(__name__)

TOGETHER = 32  # messages in one command, some 200 KB: a round trip costs little then, and workers have enough to do
FULL = 0.9  # of maxmemory; the rest is for the workers, who could not even take a message from a Redis that is full

# A Redis that restarted while messages were sent must not look as if it had them all: neither one that returned
# empty or with older data, nor one that lost no more than the messages of the last second.
REMEMBER = """
local same = string.find(redis.call('INFO', 'server'), 'run_id:' .. ARGV[3], 1, true)
local marker = redis.pcall('GET', KEYS[1])
if same and (type(marker) == 'string' and marker or '') == ARGV[1] then
    redis.call('SET', KEYS[1], ARGV[2])
end
"""

LOST = (redis.RedisError, OSError)  # what any of the methods may raise


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

    def __init__(self, client: redis.Redis) -> None:
        """Send to the Redis of the client."""
        self._client = client
        self._marker = b""
        self._run_id = ""
        self._results = ResultStore(client)
        self._cursor = 0  # of the walk through the models that fail
        self._remember = client.register_script(REMEMBER)

    def check(self) -> None:
        """Log where Redis is not set up as it should be."""
        memory: Any = self._client.info("memory")
        if (policy := memory["maxmemory_policy"]) != "noeviction":
            log.warning("Redis may evict messages and results (maxmemory-policy %s): set noeviction", policy)

    def state(self) -> State:
        """Return what Redis holds at present."""
        try:
            waiting, marker, memory, server = self._ask()
        except redis.ResponseError:
            if not remove_wrong_types(self._client):
                raise
            waiting, marker, memory, server = self._ask()
        self._marker = marker or b""
        self._run_id = server["run_id"]
        return State(waiting, memory["used_memory"], memory["maxmemory"], self._marker.decode(errors="replace"))

    def _ask(self) -> Any:
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.llen(QUEUE)
            pipeline.get(CHECKPOINT_KEY)
            pipeline.info("memory")
            pipeline.info("server")
            return pipeline.execute()

    def send(self, *sent: TaskMessage) -> None:
        """Put messages into the queue, in their order."""
        for start in range(0, len(sent), TOGETHER):
            self._client.lpush(QUEUE, *map(celery_message.encode, sent[start : start + TOGETHER]))

    def send_models(self, batches: Iterable[Sequence[str]], due_at: datetime, now: datetime) -> Sent:
        """Send each batch of model ids as one message, the first of them at once."""
        models = count = 0
        group: list[TaskMessage] = []
        for model_ids in batches:
            group.append(Batch(model_ids, due_at).message(queued_at=now))
            models += len(model_ids)
            count += 1
            if count == 1 or len(group) == TOGETHER:
                self.send(*group)
                group.clear()
        self.send(*group)
        return Sent(models, count)

    def delete_stale_failures(self) -> bool:
        """Delete, from a portion of the models that fail, those that have no result any more; False at the end."""
        self._cursor = self._results.delete_stale_failures(self._cursor)
        return self._cursor != 0

    def remember(self, marker: str) -> None:
        """Note the marker beside the messages that were sent, unless Redis forgot or restarted since the last look."""
        self._remember(keys=[CHECKPOINT_KEY], args=[self._marker, marker, self._run_id])
        self._marker = marker.encode()
