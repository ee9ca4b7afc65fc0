"""Whatever happens to workers, Redis or PostgreSQL: what was sent gets its result, and nothing stands still."""

import base64
import json
import os
import signal
import time
import uuid
from pathlib import Path
from typing import Any

import pytest
import redis

from core.queue.batch import Batch
from core.queue.keys import QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY
from devstack import redis as local_redis
from devstack.ports import free_port
from devstack.services import WORKER
from scheduler.queue import Queue
from tests.integration.worker.conftest import NOON, big_batch, children, count, latest, statuses, stopped_pool, worker
from tests.support.celery_queue import published_messages, raw_message
from tests.support.databases import DEADLINE, MODEL, Connection, Databases, log_labels, run, schedule, wait_for
from tests.support.processes import running_service
from tests.support.proxy import Proxy

SOON = {"TIME_LIMIT": "1"}  # what a dead worker had comes back after three times as long


def test_the_batch_of_a_killed_worker_is_done_by_another_one(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = big_batch(db, 30, 100_000)
    with worker(env | SOON, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: count(redis_client))
        running.kill()
        assert count(redis_client) < len(ids)

    with worker(env | SOON, tmp_path):
        wait_for(lambda: count(redis_client) == len(ids))

    assert set(statuses(redis_client, ids)) == {"ok"}


def test_a_message_that_redis_gave_to_a_worker_in_its_last_moment_is_not_lost(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """It has left the queue, and the worker has not read it when it dies."""
    schedule(db)
    log_labels(db, "[1]", "[1]")
    with worker(env | SOON, tmp_path) as running:
        wait_for(lambda: blocked_clients(redis_client) == 1)
        running.popen.send_signal(signal.SIGSTOP)
        queue.send(Batch([MODEL], NOON).message(NOON))
        wait_for(lambda: redis_client.llen(QUEUE) == 0)
        running.kill()

    with worker(env | SOON, tmp_path):
        assert wait_for(lambda: latest(redis_client)).status == "ok"  # type: ignore[union-attr]


def blocked_clients(client: redis.Redis) -> int:
    return int(client.info("clients")["blocked_clients"])


def test_a_process_that_hangs_is_ended_and_its_batch_done(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = big_batch(db, 30, 100_000)
    with worker(env | SOON, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: count(redis_client))
        hanging = children(running)
        for child in hanging:
            os.kill(child, signal.SIGSTOP)

        wait_for(lambda: count(redis_client) == len(ids))
        wait_for(lambda: not set(hanging) <= set(children(running)))

    assert set(statuses(redis_client, ids)) == {"ok"}


def test_a_row_that_does_not_fit_into_memory_is_an_error_of_its_own(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Too large for Python, and too large even for the library that receives it."""
    ids = [str(uuid.UUID(int=number)) for number in range(1, 5)]
    for model_id in ids:
        schedule(db, model_id)
        log_labels(db, "[1, 0]", "[1, 1]", model_id)
    for model_id, labels in ((ids[1], 2_000_000), (ids[3], 12_000_000)):
        run(
            db,
            "INSERT INTO results (model_id, y_true, y_pred) SELECT %s, labels.json, labels.json"
            " FROM (SELECT ('[' || repeat('1.0,', %s) || '1]')::json AS json) AS labels",
            model_id, labels,
        )  # fmt: skip
    with worker(env | {"MEMORY_LIMIT": "40"}, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: count(redis_client) == len(ids))
        assert running.popen.poll() is None

    assert statuses(redis_client, ids) == ["ok", "error", "ok", "error"]
    too_large = latest(redis_client, ids[3])
    assert too_large is not None
    assert too_large.error == "the row is too large for the worker's memory"


def test_a_row_that_nobody_foresaw_is_an_error_of_its_own(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Its time is one that Python does not know, and none of the batch's results can be read together with it."""
    ids = [str(uuid.UUID(int=number)) for number in range(1, 4)]
    for model_id in ids:
        schedule(db, model_id)
        log_labels(db, "[1, 0]", "[1, 1]", model_id)
    run(db, "UPDATE results SET timestamp = '0044-03-15 12:00 BC' WHERE model_id = %s", ids[1])
    with worker(env, tmp_path):
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: count(redis_client) == len(ids))
        wait_for(lambda: at_rest(redis_client))

    assert statuses(redis_client, ids) == ["ok", "error", "ok"]


def test_batches_at_work_while_the_connection_to_redis_breaks_are_not_taken_for_interrupted(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Not even where it breaks again and again: nobody has died."""
    ids = big_batch(db, 30, 200_000)
    with worker(env, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: count(redis_client))
        for _ in range(3):
            redis_client.client_kill_filter(_type="normal", skipme=True)
            time.sleep(0.3)

        wait_for(lambda: count(redis_client) == len(ids))

    assert set(statuses(redis_client, ids)) == {"ok"}
    assert "interrupted" not in running.output


@pytest.mark.parametrize("busy", [False, True])
def test_a_message_that_arrives_while_a_worker_ends_is_left_for_others(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path, busy: bool
) -> None:
    ids = big_batch(db, 8, 600_000)
    with worker(env, tmp_path) as running:
        if busy:
            queue.send(Batch(ids, NOON).message(NOON))
            wait_for(lambda: "received" in running.output)
        wait_for(lambda: blocked_clients(redis_client) == 1)  # a little later than it is ready
        running.popen.terminate()
        queue.send(Batch([MODEL], NOON).message(NOON))
        assert running.popen.wait(DEADLINE) == 0

    assert [MODEL] in [message["model_ids"] for message in published_messages(redis_client)]
    assert not redis_client.exists(TAKEN_KEY, UNACKED_INDEX_KEY)
    assert "Unrecoverable" not in running.output


def test_a_worker_with_a_process_that_is_stopped_ends_on_sigterm(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = big_batch(db, 8, 600_000)
    with worker(env, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: "received" in running.output)
        for child in children(running):
            os.kill(child, signal.SIGSTOP)

        running.popen.terminate()
        running.popen.wait(15)

    assert [message["model_ids"] for message in published_messages(redis_client)] == [ids]


def with_kwargs(**kwargs: Any) -> bytes:
    """Return a message of the task with these arguments, as it lies in the queue."""
    message = json.loads(raw_message([MODEL], NOON))
    message["body"] = base64.b64encode(json.dumps([[], kwargs, {}]).encode()).decode()
    return json.dumps(message).encode()


def without(*path: str) -> bytes:
    """Return a message of the task that lacks a part."""
    message = json.loads(raw_message([MODEL], NOON))
    part = message
    for name in path[:-1]:
        part = part[name]
    del part[path[-1]]
    return json.dumps(message).encode()


def changed(*path: str, **fields: Any) -> bytes:
    """Return a message of the task with other fields in a part of it."""
    message = json.loads(raw_message([MODEL], NOON))
    part = message
    for name in path:
        part = part[name]
    part |= fields
    return json.dumps(message).encode()


def renamed(**headers: Any) -> bytes:
    return changed("headers", **headers)


POISON = {
    "not JSON": b"\xff\x00 no JSON",
    "deep": b"[" * 100_000,
    "no object": b"[1, 2]",
    "no headers": without("headers"),
    "no properties": without("properties"),
    "no id": without("headers", "id"),
    "no body": without("body"),
    "a body that is not base64": changed(body="%%%"),
    "another content type": changed(**{"content-type": "application/x-python-serialize"}),
    "an unknown task": renamed(task="somebody.elses"),
    "a task that is a list": renamed(task=["worker.calculate"]),
    "an id that is a number": renamed(id=5),
    "a tag that is an object": changed("properties", delivery_tag={}),
    "a tag that is no text": changed("properties", delivery_tag="\ud800"),
    "a route that is a text": changed("properties", delivery_info="x"),
    "properties that are a list": changed(properties=[]),
    "no arguments": with_kwargs(),
    "a moment out of time": with_kwargs(model_ids=[MODEL], due_at="9999-12-31T23:59:59-14:00"),
    "ids that are none": with_kwargs(model_ids=["x'; DROP TABLE results"], due_at=NOON.isoformat()),
    "ids that are a number": with_kwargs(model_ids=5, due_at=NOON.isoformat()),
    "a moment that is none": with_kwargs(model_ids=[MODEL], due_at="noon"),
    "a moment without a zone": with_kwargs(model_ids=[MODEL], due_at="2026-11-24T12:00:00"),
}


def test_a_poison_message_is_dropped_with_a_word_and_harms_nobody(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    schedule(db)
    log_labels(db, "[1]", "[1]")
    with worker(env | SOON, tmp_path) as running:
        for poison in POISON.values():
            redis_client.lpush(QUEUE, poison)
        queue.send(Batch([MODEL], NOON).message(NOON))

        assert wait_for(lambda: latest(redis_client)).status == "ok"  # type: ignore[union-attr]
        wait_for(lambda: at_rest(redis_client))
        assert running.popen.poll() is None
        assert running.output.count("dropped an invalid message") == 6
        assert running.output.count("dropped a foreign message") == 15


WISHES = [
    renamed(timelimit=["x", "y"]),
    renamed(eta="2999-01-01T00:00:00+00:00"),
    renamed(expires="1999-01-01T00:00:00+00:00"),
    renamed(retries="many"),
]


def test_what_a_message_asks_of_celery_is_not_heard(
    db: Connection, env: dict[str, str], redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Some of it would take a process from the pool for ever."""
    schedule(db)
    log_labels(db, "[1]", "[1]")
    with worker(env | SOON, tmp_path) as running:
        for wish in WISHES:
            redis_client.lpush(QUEUE, wish)

        wait_for(lambda: running.output.count("calculated 1 models") == len(WISHES))
        wait_for(lambda: at_rest(redis_client))


def at_rest(client: redis.Redis) -> bool:
    """Whether no message waits, and none is at work."""
    return not client.exists(QUEUE, TAKEN_KEY, "unacked", "unacked_index")


def test_a_message_of_100_000_models_is_taken_apart(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    schedule(db)
    log_labels(db, "[1]", "[1]")
    ids = [str(uuid.uuid4()) for _ in range(100_000)]

    queue.send(Batch([*ids, MODEL], NOON).message(NOON))

    with worker(env, tmp_path):
        assert wait_for(lambda: latest(redis_client)).status == "ok"  # type: ignore[union-attr]
    assert count(redis_client) == 1


def test_a_redis_that_is_full_loses_nothing(
    databases: Databases, db: Connection, database_url: str, tmp_path: Path
) -> None:
    ids = big_batch(db, 12, 100_000)
    with local_redis.running() as server, redis.Redis.from_url(server.url) as client:
        env = {"DATABASE_URL": databases.url_as("metrics_worker", database_url), "REDIS_URL": server.url}
        client.config_set("maxmemory", 1)
        with running_service(WORKER, env, tmp_path / "worker.log") as running:
            wait_for(lambda: "OutOfMemoryError" in running.output)
            client.config_set("maxmemory", 0)
            wait_for(lambda: " ready." in running.output)
            client.config_set("maxmemory", 1)
            wait_for(lambda: "Redis replied with an error" in running.output)
            client.config_set("maxmemory", 0)
            with stopped_pool(running):
                Queue(client).send(Batch(ids, NOON).message(NOON))
                wait_for(lambda: "received" in running.output)
                client.config_set("maxmemory", 1)
            wait_for(lambda: "batch delayed: Redis: " in running.output)
            assert count(client) < len(ids)
            client.config_set("maxmemory", 0)

            wait_for(lambda: count(client) == len(ids))
            assert running.popen.poll() is None
            assert set(statuses(client, ids)) == {"ok"}


def test_a_batch_waits_until_postgresql_lets_it(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    """Behind a long lock in its process; where a right is missing for longer, at the end of the queue."""
    schedule(db)
    log_labels(db, "[1]", "[1]")
    with worker(env | {"TIME_LIMIT": "8"}, tmp_path) as running:
        run(db, "BEGIN; LOCK TABLE results IN ACCESS EXCLUSIVE MODE")
        queue.send(Batch([MODEL], NOON).message(NOON))
        wait_for(lambda: "batch delayed: PostgreSQL: canceling statement due to lock timeout" in running.output)
        run(db, "ROLLBACK; REVOKE SELECT ON results FROM metrics_worker")
        wait_for(lambda: "batch of 1 models failed, requeued: PostgreSQL: permission denied" in running.output)
        run(db, "GRANT SELECT ON results TO metrics_worker")

        assert wait_for(lambda: latest(redis_client)).status == "ok"  # type: ignore[union-attr]


def test_postgresql_that_is_killed_in_the_middle_of_a_batch(
    databases: Databases, db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path
) -> None:
    ids = big_batch(db, 24, 300_000)  # read in four portions
    with worker(env, tmp_path) as running:
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: count(redis_client))
        databases.server.process.kill()
        wait_for(lambda: "batch delayed: PostgreSQL" in running.output)
        databases.restart()

        wait_for(lambda: count(redis_client) == len(ids))
        assert running.popen.poll() is None

    assert set(statuses(redis_client, ids)) == {"ok"}


def test_a_worker_that_waits_for_redis_ends_on_sigterm(tmp_path: Path) -> None:
    env = {"DATABASE_URL": "postgresql://unused", "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"}
    with running_service(WORKER, env, tmp_path / "worker.log") as running:
        wait_for(lambda: "Cannot connect" in running.output)

        assert running.stop() == 0
        assert "Traceback" not in running.output


def test_a_worker_whose_redis_is_silent_ends_on_sigterm(
    env: dict[str, str], redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> None:
    with Proxy(redis_url) as network, worker(env | {"REDIS_URL": network.url}, tmp_path) as running:
        wait_for(lambda: blocked_clients(redis_client) == 1)
        network.silence()
        time.sleep(1.5)  # it waits for an answer

        running.popen.terminate()
        assert running.popen.wait(20) == 0


@pytest.mark.parametrize("hours", [-3, 3])
def test_the_batch_of_a_worker_whose_clock_is_off_comes_back_as_soon_as_any(
    db: Connection, env: dict[str, str], queue: Queue, redis_client: redis.Redis, tmp_path: Path, hours: str
) -> None:
    """Neither while it is at work, nor hours after it died."""
    ids = big_batch(db, 12, 300_000)
    with running_service(
        ["tests.support.shifted_clock", str(hours), *WORKER], env | SOON, tmp_path / "shifted.log"
    ) as shifted:
        wait_for(lambda: " ready." in shifted.output)
        queue.send(Batch(ids, NOON).message(NOON))
        wait_for(lambda: "received" in shifted.output)
        taken: Any = redis_client.zrange(UNACKED_INDEX_KEY, 0, -1, withscores=True)
        now: Any = redis_client.time()
        assert [abs(taken_at - now[0]) <= 2 for _, taken_at in taken] == [True]
        shifted.kill()

    with worker(env | SOON, tmp_path):
        wait_for(lambda: count(redis_client) == len(ids))
