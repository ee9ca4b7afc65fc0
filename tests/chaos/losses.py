"""Faults in which data are lost; only with LOSSES=1, and scored apart."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from time import sleep

from tests.chaos.world import POLL, Loss, World, fault
from tests.support.databases import run

EMPTIED, SHORTENED, TRUNCATED = "Redis emptied", "Redis without its last second", "crons and fires emptied"


@fault(EMPTIED, "redis", loses_data=True)
def empty_redis(world: World) -> None:
    with redis_down(world, EMPTIED):
        for folder in world.stack.redis_folder.iterdir():
            shutil.rmtree(folder)
            folder.mkdir()


@fault(SHORTENED, "redis", loses_data=True)
def shorten_redis(world: World) -> None:
    before = newest_file(world)
    size = before.stat().st_size
    world.pause(1)
    with redis_down(world, SHORTENED):
        file = newest_file(world)
        if file == before and file.stat().st_size > size:  # else it was rewritten meanwhile
            with file.open("ab") as written:
                written.truncate(size)


@fault(TRUNCATED, "postgres", loses_data=True)
def truncate(world: World) -> None:
    statement = world.rng.choice(["TRUNCATE crons, fires", "DELETE FROM crons; DELETE FROM fires"])
    with world.stack.owner() as db:
        world.losses.append(Loss(TRUNCATED, datetime.now(UTC)))
        run(db, statement)


@contextmanager
def redis_down(world: World, kind: str) -> Iterator[None]:
    """Kill Redis, and let it start again after what is done meanwhile."""
    server = world.stack.redis_server
    server.held = True
    try:
        world.losses.append(Loss(kind, datetime.now(UTC)))
        server.kill()
        while server.process.alive:
            sleep(POLL)
        yield
    finally:
        server.held = False
    world.wait_for(world.stack.is_redis_there, 30)


def newest_file(world: World) -> Path:
    """Return the append-only file that Redis writes to at present."""
    files = world.stack.redis_folder.glob("**/*.aof")
    return max((file for file in files if ".base." not in file.name), key=lambda file: file.stat().st_mtime_ns)
