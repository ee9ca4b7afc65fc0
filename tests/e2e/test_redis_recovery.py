"""Redis killed while messages wait in it, and restarted with all its data, without the last second, or empty."""

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
    execute,
    fetch_value,
    insert_label_row,
    model_ids,
    schedule,
    set_clock,
    wait_for,
)
from tests.support.processes import Service, running_service

Lost = Literal["nothing", "the last second", "everything"]

MODEL_IDS = model_ids(30)


class DurableRedis:
    """A Redis with an append-only file, and restarts that lose a part of it."""

    def __init__(self, server: local_redis.Server, folder: Path) -> None:
        self.server = server
        self._folder = folder

    def file_size(self) -> int:
        return self._append_only_file().stat().st_size

    def restart(self, lost: Lost, size: int) -> None:
        """Kill and restart Redis; size is the remaining size of the file if the last second is lost."""
        # While the disk is busy, Redis buffers writes in its memory, and kill -9 loses them.
        with redis.Redis.from_url(self.server.url) as client:
            wait_for(lambda: client.info("persistence")["aof_buffer_length"] == 0)
        self.server.process.kill()
        if lost == "the last second":
            os.truncate(self._append_only_file(), size)
        elif lost == "everything":
            for file in self._folder.rglob("*.aof*"):
                file.unlink()
        self.server.process.start()
        wait_for(lambda: local_redis.is_ready(self.server.url))

    def _append_only_file(self) -> Path:
        [file] = [path for path in self._folder.rglob("*.aof") if not path.name.endswith(".base.aof")]
        return file


@pytest.fixture
def durable_redis(tmp_path: Path) -> Iterator[DurableRedis]:
    folder = tmp_path / "redis"
    with local_redis.running(folder) as server:
        yield DurableRedis(server, folder)


@pytest.fixture
def env(databases: Databases, database_url: str, durable_redis: DurableRedis) -> dict[str, dict[str, str]]:
    return {
        name: {
            "DATABASE_URL": databases.url_as(f"metrics_{name}", database_url),
            "REDIS_URL": durable_redis.server.url,
        }
        for name in ("scheduler", "worker")
    }


@pytest.fixture
def scheduler(db: Connection, env: dict[str, dict[str, str]], tmp_path: Path) -> Iterator[Service]:
    """A scheduler before 12:00, with 30 models in two cron specs, and no worker."""
    set_clock(db, "2026-11-24 11:59:30+00")
    for number, model_id in enumerate(MODEL_IDS):
        schedule(db, model_id, "* * * * *" if number % 2 else "0 12 * * *")
        insert_label_row(db, "[1, 0]", "[1, 1]", model_id)
    with running_service(SCHEDULER, env["scheduler"] | {"BATCH_SIZE": "3"}, tmp_path / "scheduler.log") as service:
        wait_for(lambda: fetch_value(db, "SELECT count(*) FROM crons") == 2)
        yield service


def fire(db: Connection, minute: str) -> None:
    set_clock(db, f"2026-11-24 {minute}:00+00")
    wait_for(lambda: fetch_value(db, f"SELECT count(*) FROM fires WHERE due_at = '2026-11-24 {minute}+00'") == 1)


def minutes_with_results(client: redis.Redis) -> dict[str, list[str]]:
    """Return the minutes for which each model has a result."""
    minutes: dict[str, list[str]] = {}
    for model_id in MODEL_IDS:
        members: Any = client.zrange(results_key(model_id), 0, -1)
        minutes[model_id] = [f"{decode_result(model_id, member).due_at:%H:%M}" for member in members]
    return minutes


@pytest.mark.parametrize("lost", get_args(Lost))
def test_messages_lost_by_redis_are_published_again(
    db: Connection,
    durable_redis: DurableRedis,
    scheduler: Service,
    env: dict[str, dict[str, str]],
    tmp_path: Path,
    lost: Lost,
) -> None:
    size = durable_redis.file_size()
    fire(db, "12:00")

    durable_redis.restart(lost, size)

    worker = running_service(WORKER, env["worker"], tmp_path / "worker.log")
    with worker, redis.Redis.from_url(durable_redis.server.url) as client:
        wait_for(lambda: all(minutes_with_results(client).values()))
        fire(db, "12:01")
        expected = {
            model_id: ["12:00", "12:01"] if number % 2 else ["12:00"] for number, model_id in enumerate(MODEL_IDS)
        }
        wait_for(lambda: minutes_with_results(client) == expected)
        assert ("due times again" in scheduler.output) is (lost != "nothing")


def test_latest_result_of_each_model_is_calculated_again_after_redis_lost_everything(
    db: Connection,
    durable_redis: DurableRedis,
    scheduler: Service,
    env: dict[str, dict[str, str]],
    tmp_path: Path,
) -> None:
    """For its original due time; a schedule that has been deleted since is left out."""
    with running_service(WORKER, env["worker"], tmp_path / "worker.log") as worker:
        with redis.Redis.from_url(durable_redis.server.url) as client:
            fire(db, "12:00")
            fire(db, "12:01")
            wait_for(lambda: sum(map(len, minutes_with_results(client).values())) == 45)
        execute(db, f"DELETE FROM metrics_executions WHERE model_id = '{MODEL_IDS[0]}'")

        durable_redis.restart("everything", 0)

        expected = {model_id: ["12:01"] if number % 2 else ["12:00"] for number, model_id in enumerate(MODEL_IDS)}
        with redis.Redis.from_url(durable_redis.server.url) as client:
            wait_for(lambda: minutes_with_results(client) == expected | {MODEL_IDS[0]: []})
        assert scheduler.popen.poll() is None
        assert worker.popen.poll() is None
