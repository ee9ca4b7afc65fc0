"""Messages that anyone may write into the queue: foreign, invalid, and of later versions."""

import base64
import json
from pathlib import Path
from typing import Any

import redis

from core.queue.batch import Batch
from core.queue.keys import QUEUE
from core.shared_keys import TYPES
from scheduler.queue import Queue
from tests.support.celery_queue import raw_message
from tests.support.databases import MODEL, Connection, model_ids, wait_for
from tests.support.workers import (
    NOON,
    QUICK_REDELIVERY,
    has_no_messages,
    insert_model,
    insert_models,
    latest_statuses,
    running_worker,
    wait_for_result,
    wait_for_results,
)


def message_with_arguments(**kwargs: Any) -> bytes:
    """Return a message of the task with these arguments, as it is stored in the queue."""
    message = json.loads(raw_message([MODEL], NOON))
    message["body"] = base64.b64encode(json.dumps([[], kwargs, {}]).encode()).decode()
    return json.dumps(message).encode()


def message_without(*path: str) -> bytes:
    """Return a message of the task without one of its parts."""
    message = json.loads(raw_message([MODEL], NOON))
    part = message
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return json.dumps(message).encode()


def message_with(*path: str, **fields: Any) -> bytes:
    """Return a message of the task with other fields in one of its parts."""
    message = json.loads(raw_message([MODEL], NOON))
    part = message
    for name in path:
        part = part[name]
    part |= fields
    return json.dumps(message).encode()


def message_with_headers(**headers: Any) -> bytes:
    return message_with("headers", **headers)


INVALID_MESSAGES = {
    "not JSON": b"\xff\x00 no JSON",
    "deeply nested": b"[" * 100_000,
    "array": b"[1, 2]",
    "no headers": message_without("headers"),
    "no properties": message_without("properties"),
    "no id": message_without("headers", "id"),
    "no body": message_without("body"),
    "body that is not base64": message_with(body="%%%"),
    "other content type": message_with(**{"content-type": "application/x-python-serialize"}),
    "unknown task": message_with_headers(task="other.task"),
    "list as task": message_with_headers(task=["worker.calculate"]),
    "number as id": message_with_headers(id=5),
    "object as delivery tag": message_with("properties", delivery_tag={}),
    "surrogate as delivery tag": message_with("properties", delivery_tag="\ud800"),
    "text as delivery info": message_with("properties", delivery_info="x"),
    "list as properties": message_with(properties=[]),
    "no arguments": message_with_arguments(),
    "due time out of range": message_with_arguments(model_ids=[MODEL], due_at="9999-12-31T23:59:59-14:00"),
    "ids that are no UUIDs": message_with_arguments(model_ids=["x'; DROP TABLE results"], due_at=NOON.isoformat()),
    "number as ids": message_with_arguments(model_ids=5, due_at=NOON.isoformat()),
    "due time that is no time": message_with_arguments(model_ids=[MODEL], due_at="noon"),
    "due time without an offset": message_with_arguments(model_ids=[MODEL], due_at="2026-11-24T12:00:00"),
}


def test_invalid_message_is_dropped_logged_and_affects_no_other_message(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    insert_model(db)
    with running_worker(env | QUICK_REDELIVERY, tmp_path) as worker:
        for message in INVALID_MESSAGES.values():
            redis_client.lpush(QUEUE, message)
        queue.send(Batch([MODEL], NOON).message(NOON))

        assert wait_for_result(redis_client).status == "ok"
        wait_for(lambda: has_no_messages(redis_client))
        assert worker.popen.poll() is None
        assert worker.output.count("dropped an invalid message") == 6
        assert worker.output.count("dropped a foreign message") == 15


MESSAGES_WITH_CELERY_OPTIONS = [
    message_with_headers(timelimit=["x", "y"]),
    message_with_headers(eta="2999-01-01T00:00:00+00:00"),
    message_with_headers(expires="1999-01-01T00:00:00+00:00"),
    message_with_headers(retries="many"),
]


def test_celery_options_of_a_message_are_ignored(
    db: Connection, env: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Some of them would occupy a process of the pool for good."""
    insert_model(db)
    with running_worker(env | QUICK_REDELIVERY, tmp_path) as worker:
        for message in MESSAGES_WITH_CELERY_OPTIONS:
            redis_client.lpush(QUEUE, message)

        wait_for(lambda: worker.output.count("calculated 1 models") == len(MESSAGES_WITH_CELERY_OPTIONS))
        wait_for(lambda: has_no_messages(redis_client))


def test_message_of_a_later_version_is_processed(
    db: Connection, env: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> None:
    """It has an argument and a header that this version does not have."""
    insert_models(db, [MODEL])
    message = json.loads(raw_message([MODEL], NOON))
    args, kwargs, embedded = json.loads(base64.b64decode(message["body"]))
    body = [args, kwargs | {"backfill": {"portion": 3}, "priority": None}, embedded]
    message["body"] = base64.b64encode(json.dumps(body).encode()).decode()
    message["headers"]["scoring"] = 7
    redis_client.lpush(QUEUE, json.dumps(message))
    with running_worker(env, tmp_path):
        wait_for_results(redis_client, 1)

    assert latest_statuses(redis_client, [MODEL]) == ["ok"]


def test_worker_removes_shared_keys_of_other_types(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """At start, and while it runs."""
    ids = list(model_ids(len(TYPES) + 1))
    insert_models(db, ids)
    for name in set(TYPES) - {QUEUE}:
        redis_client.set(name, "junk")
    with running_worker(env, tmp_path):
        for model_id, name in zip(ids, ["", *TYPES], strict=True):
            if name:
                redis_client.delete(name)
                redis_client.set(name, "junk")
                queue.state()  # as the scheduler does before it publishes
            queue.send(Batch([model_id], NOON).message(NOON))
            wait_for_result(redis_client, model_id)
        wait_for(lambda: not queue.state().waiting)

    assert set(latest_statuses(redis_client, ids)) == {"ok"}
