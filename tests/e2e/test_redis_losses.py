"""A Redis that dies while messages wait in it, and returns with all it had, without its last second, or empty."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, get_args

import pytest
import redis

from core.results.codec import decode_result
from core.results.keys import results_key
from devstack import redis as local_redis
from devstack.services import SCHEDULER, WORKER
from tests.support.databases import (
    Connection,
    Databases,
    log_labels,
    model_ids,
    one,
    run,
    schedule,
    set_clock,
    wait_for,
)
from tests.support.processes import Service, running_service

Lost = Literal["nothing", "the last second", "everything"]

IDS = model_ids(30)


class Queue:
    """A Redis with an append-only file, and what becomes of it."""

    def __init__(self, server: local_redis.Server, folder: Path) -> None:
        self.server = server
        self._folder = folder

    def size(self) -> int:
        return self._file().stat().st_size

    def restart(self, lost: Lost, size: int) -> None:
        # While the disk is busy with what came before, Redis keeps some in its memory, and kill -9 loses that.
        with redis.Redis.from_url(self.server.url) as client:
            wait_for(lambda: client.info("persistence")["aof_buffer_length"] == 0)
        self.server.process.kill()
        if lost == "the last second":
            os.truncate(self._file(), size)
        elif lost == "everything":
            for file in self._folder.rglob("*.aof*"):
                file.unlink()
        self.server.process.start()
        wait_for(lambda: local_redis.answers(self.server.url))

    def _file(self) -> Path:
        [file] = [path for path in self._folder.rglob("*.aof") if not path.name.endswith(".base.aof")]
        return file


@pytest.fixture
def queue(tmp_path: Path) -> Iterator[Queue]:
    folder = tmp_path / "redis"
    with local_redis.running(folder) as server:
        yield Queue(server, folder)


@pytest.fixture
def env(databases: Databases, database_url: str, queue: Queue) -> dict[str, dict[str, str]]:
    return {
        name: {"DATABASE_URL": databases.url_as(f"metrics_{name}", database_url), "REDIS_URL": queue.server.url}
        for name in ("scheduler", "worker")
    }


@pytest.fixture
def scheduler(db: Connection, env: dict[str, dict[str, str]], tmp_path: Path) -> Iterator[Service]:
    """A scheduler that has fired 12:00, of 30 models in two crons; nobody has taken the messages."""
    set_clock(db, "2026-11-24 11:59:30+00")
    for number, model_id in enumerate(IDS):
        schedule(db, model_id, "* * * * *" if number % 2 else "0 12 * * *")
        log_labels(db, "[1, 0]", "[1, 1]", model_id)
    with running_service(SCHEDULER, env["scheduler"] | {"BATCH_SIZE": "3"}, tmp_path / "scheduler.log") as running:
        wait_for(lambda: one(db, "SELECT count(*) FROM crons") == 2)
        yield running


def fire(db: Connection, minute: str) -> None:
    set_clock(db, f"2026-11-24 {minute}:00+00")
    wait_for(lambda: one(db, f"SELECT count(*) FROM fires WHERE due_at = '2026-11-24 {minute}+00'") == 1)


def results(client: redis.Redis) -> dict[str, list[str]]:
    """Return the minutes at which each model has a result."""
    found: dict[str, list[str]] = {}
    for model_id in IDS:
        members: Any = client.zrange(results_key(model_id), 0, -1)
        found[model_id] = [f"{decode_result(model_id, member).due_at:%H:%M}" for member in members]
    return found


@pytest.mark.parametrize("lost", get_args(Lost))
def test_messages_that_redis_lost_are_sent_again(
    db: Connection, queue: Queue, scheduler: Service, env: dict[str, dict[str, str]], tmp_path: Path, lost: Lost
) -> None:
    size = queue.size()
    fire(db, "12:00")

    queue.restart(lost, size)

    with (
        running_service(WORKER, env["worker"], tmp_path / "worker.log"),
        redis.Redis.from_url(queue.server.url) as client,
    ):
        wait_for(lambda: all(results(client).values()))
        fire(db, "12:01")
        expected = {model: ["12:00", "12:01"] if number % 2 else ["12:00"] for number, model in enumerate(IDS)}
        wait_for(lambda: results(client) == expected)
        assert ("due times again" in scheduler.output) is (lost != "nothing")


def test_the_latest_result_of_every_model_comes_back_to_a_redis_that_lost_everything(
    db: Connection, queue: Queue, scheduler: Service, env: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    """By itself, at the moment that it was of; a schedule that was deleted meanwhile is left out."""
    with running_service(WORKER, env["worker"], tmp_path / "worker.log") as worker:
        with redis.Redis.from_url(queue.server.url) as client:
            fire(db, "12:00")
            fire(db, "12:01")
            wait_for(lambda: sum(map(len, results(client).values())) == 45)
        run(db, f"DELETE FROM metrics_executions WHERE model_id = '{IDS[0]}'")

        queue.restart("everything", 0)

        expected = {model: ["12:01"] if number % 2 else ["12:00"] for number, model in enumerate(IDS)}
        with redis.Redis.from_url(queue.server.url) as client:
            wait_for(lambda: results(client) == expected | {IDS[0]: []})
        assert scheduler.popen.poll() is None
        assert worker.popen.poll() is None
