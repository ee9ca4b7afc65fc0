"""A whole stack that a bench may ill-treat: servers of its own, and processes that are watched."""

import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2

from core.queue.keys import QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY
from core.redis import create_client
from core.results import codec, keys, repository
from devstack import postgres as local_postgres
from devstack import redis as local_redis
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support.databases import Connection, Databases, wait_for
from tests.support.processes import Service, running_service
from tests.support.workers import child_pids

IN_HAND = (QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY, "unacked")  # where a message may lie


class Stack:
    """A PostgreSQL, a Redis that keeps its data, and processes of ours with their default settings."""

    def __init__(self, exits: ExitStack, databases: Databases, queue: local_redis.Server, folder: Path) -> None:
        self.databases = databases
        self.queue = queue
        self.client = create_client(queue.url)
        self.services: dict[str, Service] = {}
        self._exits = exits
        self._folder = folder
        self._pools: dict[str, list[int]] = {}
        self.db = self.connect()

    def connect(self) -> Connection:
        """Open a connection of the owner that no proxy is in the way of, in autocommit mode."""
        connection = psycopg2.connect(self.databases.server.url)
        connection.autocommit = True
        self._exits.callback(connection.close)
        return connection

    def start(
        self, name: str, module: list[str], *, database_url: str = "", redis_url: str = "", **variables: str
    ) -> Service:
        """Start a process, and watch it; its first word is its role. URLs lead elsewhere than straight to the servers.

        A worker is ready when this returns.
        """
        role = f"metrics_{name.partition(' ')[0]}"
        env = {
            "DATABASE_URL": self.databases.url_as(role, database_url or self.databases.server.url),
            "REDIS_URL": redis_url or self.queue.url,
            **variables,
        }
        started = self._exits.enter_context(running_service(module, env, self._folder / f"{name}.log"))
        self.services[name] = started
        if role == "metrics_worker":
            wait_for(lambda: " ready." in started.output)
            self._pools[name] = child_pids(started)
        return started

    def pool(self, name: str) -> list[int]:
        """Return the process ids of a worker's pool."""
        return self._pools[name]

    def forget(self, ended: Service) -> None:
        """Watch no longer what the bench has ended."""
        [name] = [name for name, watched in self.services.items() if watched is ended]
        del self.services[name]
        self._pools.pop(name, None)

    def exits(self) -> list[str]:
        """Return which processes exited by themselves, those of the workers' pools among them."""
        found = [
            f"{name} exited by itself with {code}"
            for name, watched in self.services.items()
            if (code := watched.popen.poll()) is not None
        ]
        for name, pool in self._pools.items():
            if self.services[name].popen.poll() is None and (gone := sum(not _runs(pid) for pid in pool)):
                found.append(f"{gone} pool processes of {name} exited by themselves")
        return found

    @property
    def watched(self) -> int:
        """How many processes are watched."""
        return len(self.services) + sum(map(len, self._pools.values()))

    def has_results(self, model_ids: Sequence[str], due_at: datetime) -> bool:
        """Whether each model has its result of a moment; cheap while the last one is missing."""
        stored = repository.ResultStore(self.client)
        return not stored.missing(model_ids[-1:], due_at) and not stored.missing(model_ids, due_at)

    def wrong_results(self, model_ids: Sequence[str], moments: Sequence[datetime]) -> list[str]:
        """Return what is missing or twice, where each model should have one good result of each moment.

        What is later than the last of them does not count.
        """
        wrong: Counter[str] = Counter()
        for model_id in model_ids:
            members: Any = self.client.zrange(keys.results_key(model_id), 0, -1)
            decoded = [codec.decode_result(model_id, member) for member in members]
            found = [result for result in decoded if result.due_at <= moments[-1]]
            counts = Counter(result.due_at for result in found)
            wrong.update(f"missing at {moment:%H:%M}" for moment in moments if not counts[moment])
            wrong.update(f"twice at {moment:%H:%M}" for moment, count in counts.items() if count > 1)
            wrong.update(f"there at {moment:%H:%M}, unasked" for moment in counts.keys() - set(moments))
            wrong.update(f"{result.status} at {result.due_at:%H:%M}" for result in found if result.status != "ok")
        return [f"{count} of {len(model_ids)} results are {what}" for what, count in sorted(wrong.items())]

    def left_messages(self) -> list[str]:
        """Return the keys of Redis in which messages lie, where all should be done."""
        return [key for key in IN_HAND if self.client.exists(key)]

    def last_words(self) -> str:
        """Return the ends of all processes' output."""
        return "\n".join(
            f"--- {name}\n" + "\n".join(watched.output.splitlines()[-15:]) for name, watched in self.services.items()
        )


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][0] != "Z"  # or nobody has noticed yet
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run the servers, with the tables; settings are PostgreSQL's."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        server = exits.enter_context(local_postgres.running(settings=settings))
        queue = exits.enter_context(local_redis.running(folder / "redis"))
        passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
        apply(server.url, passwords=passwords, test_data=False)
        yield Stack(exits, Databases(server, passwords), queue, folder)
