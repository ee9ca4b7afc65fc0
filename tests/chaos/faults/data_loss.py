"""Faults that lose data; only with LOSSES=1."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

from tests.chaos.data_losses import DataLoss, LossKind
from tests.chaos.faults.context import POLL_INTERVAL, FaultContext
from tests.chaos.faults.registry import fault
from tests.chaos.faults.servers import SERVER_TIMEOUT
from tests.support.databases import execute

TRUNCATIONS = ["TRUNCATE crons, fires", "DELETE FROM crons; DELETE FROM fires"]


@fault(LossKind.REDIS_EMPTIED, "redis", loses_data=True)
def empty_redis(context: FaultContext) -> None:
    with redis_stopped(context, LossKind.REDIS_EMPTIED):
        for folder in context.system.redis_folder.iterdir():
            shutil.rmtree(folder)
            folder.mkdir()


@fault(LossKind.REDIS_TRUNCATED, "redis", loses_data=True)
def truncate_append_only_file(context: FaultContext) -> None:
    path = append_only_file(context)
    size = path.stat().st_size
    context.wait(1)
    with redis_stopped(context, LossKind.REDIS_TRUNCATED):
        newest = append_only_file(context)
        if newest == path and newest.stat().st_size > size:  # otherwise Redis has rewritten it
            with newest.open("ab") as file:
                file.truncate(size)


@fault(LossKind.TABLES_EMPTIED, "postgres", loses_data=True)
def empty_tables(context: FaultContext) -> None:
    statement = context.rng.choice(TRUNCATIONS)
    with context.system.owner() as db:
        context.losses.append(DataLoss(LossKind.TABLES_EMPTIED, datetime.now(UTC)))
        execute(db, statement)


@contextmanager
def redis_stopped(context: FaultContext, kind: LossKind) -> Iterator[None]:
    """Kill Redis, and keep it stopped within the block."""
    server = context.system.redis_server
    server.is_suspended = True
    try:
        context.losses.append(DataLoss(kind, datetime.now(UTC)))
        server.kill()
        while server.process.alive:
            sleep(POLL_INTERVAL)
        yield
    finally:
        server.is_suspended = False
    context.wait_for(context.system.is_redis_up, SERVER_TIMEOUT)


def append_only_file(context: FaultContext) -> Path:
    """Return the append-only file that Redis writes to."""
    files = context.system.redis_folder.glob("**/*.aof")
    return max((file for file in files if ".base." not in file.name), key=lambda file: file.stat().st_mtime_ns)
