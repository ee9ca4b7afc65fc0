"""Redis as the scheduler uses it: the queue, and the checkpoint that shows whether Redis has lost messages."""

import logging
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any, NamedTuple

import redis

from core.lua_scripts import read_script
from core.queue import celery_message
from core.queue.batch import Batch, TaskMessage
from core.queue.keys import CHECKPOINT_KEY, QUEUE
from core.results.repository import ResultStore
from core.shared_keys import remove_wrong_types

log = logging.getLogger(__name__)

PERSIST_TIME = 3.0  # seconds after which Redis has written a message to its file
PUSH_SIZE = 32  # messages in one command, some 200 KB: few round trips, and workers can start early
MAX_MEMORY_USE = 0.9  # of maxmemory; the rest is for the workers, who cannot even receive messages from a full Redis

REDIS_ERRORS = (redis.RedisError, OSError)  # what the methods of Queue may raise


class SentCounts(NamedTuple):
    """Numbers of models and messages that were published."""

    models: int
    messages: int


class QueueState(NamedTuple):
    """State of Redis."""

    waiting: int  # messages
    used_memory: int  # bytes
    maxmemory: int  # bytes; 0: unlimited
    checkpoint: str  # empty if there is none

    @property
    def is_full(self) -> bool:
        """Return True if the remaining memory is reserved for the workers."""
        return 0 < self.maxmemory * MAX_MEMORY_USE < self.used_memory


class Queue:
    """Publishes messages, without retries: the leader decides when to try again."""

    def __init__(self, client: redis.Redis, persist_time: float = PERSIST_TIME) -> None:
        self.persist_time = persist_time
        self._client = client
        self._checkpoint = b""
        self._run_id = ""
        self._results = ResultStore(client)
        self._cursor = 0  # of the scan of the failing models
        self._save_checkpoint = client.register_script(read_script(__package__, "save_checkpoint.lua"))

    def check(self) -> None:
        """Log a configuration of Redis that may lose data."""
        memory: Any = self._client.info("memory")
        if (policy := memory["maxmemory_policy"]) != "noeviction":
            log.warning("Redis may evict messages and results (maxmemory-policy %s): set noeviction", policy)

    def state(self) -> QueueState:
        """Return the state of Redis; keys of another type that are in the way are removed first."""
        try:
            waiting, checkpoint, memory, server = self._read_state()
        except redis.ResponseError:
            if not remove_wrong_types(self._client):
                raise
            waiting, checkpoint, memory, server = self._read_state()
        self._checkpoint = checkpoint or b""
        self._run_id = server["run_id"]
        text = self._checkpoint.decode(errors="replace")
        return QueueState(waiting, memory["used_memory"], memory["maxmemory"], text)

    def _read_state(self) -> Any:
        with self._client.pipeline(transaction=False) as pipeline:
            pipeline.llen(QUEUE)
            pipeline.get(CHECKPOINT_KEY)
            pipeline.info("memory")
            pipeline.info("server")
            return pipeline.execute()

    def send(self, *messages: TaskMessage) -> None:
        """Publish messages, in their order."""
        for start in range(0, len(messages), PUSH_SIZE):
            self._client.lpush(QUEUE, *map(celery_message.encode, messages[start : start + PUSH_SIZE]))

    def send_models(self, batches: Iterable[Sequence[str]], due_at: datetime, now: datetime) -> SentCounts:
        """Publish each batch of model ids as one message, the first one at once."""
        models = messages = 0
        pending: list[TaskMessage] = []
        for model_ids in batches:
            pending.append(Batch(model_ids, due_at).message(queued_at=now))
            models += len(model_ids)
            messages += 1
            if messages == 1 or len(pending) == PUSH_SIZE:
                self.send(*pending)
                pending.clear()
        self.send(*pending)
        return SentCounts(models, messages)

    def delete_stale_failures(self) -> bool:
        """Delete, from a portion of the failing models, those whose results have expired; False at the end."""
        self._cursor = self._results.delete_stale_failures(self._cursor)
        return self._cursor != 0

    def save_checkpoint(self, checkpoint: str) -> None:
        """Save the checkpoint beside the messages, unless Redis has restarted or lost data since the last state()."""
        self._save_checkpoint(keys=[CHECKPOINT_KEY], args=[self._checkpoint, checkpoint, self._run_id])
        self._checkpoint = checkpoint.encode()
