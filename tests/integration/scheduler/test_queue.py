"""How messages go into the queue."""

from collections.abc import Iterator
from datetime import UTC, datetime

import redis

from core.queue.keys import QUEUE
from scheduler.queue import PUSH_SIZE, Queue, SentCounts
from tests.support.celery_queue import published_messages
from tests.support.databases import model_ids

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


def test_the_first_message_goes_at_once_and_the_others_together(redis_client: redis.Redis) -> None:
    ids = model_ids(2 * PUSH_SIZE)
    waiting = []

    def batches() -> Iterator[list[str]]:
        for model_id in ids:
            yield [model_id]
            waiting.append(redis_client.llen(QUEUE))

    total = Queue(redis_client).send_models(batches(), NOON, NOON)

    assert total == SentCounts(models=2 * PUSH_SIZE, messages=2 * PUSH_SIZE)
    assert waiting == [1] * PUSH_SIZE + [1 + PUSH_SIZE] * PUSH_SIZE
    assert [message["model_ids"] for message in published_messages(redis_client)] == [[model_id] for model_id in ids]
