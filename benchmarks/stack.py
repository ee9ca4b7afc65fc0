"""Servers and processes of one benchmark, in which failures can be caused."""

import secrets
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import psycopg2

from core.queue.keys import QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY, UNACKED_KEY
from core.redis import create_client
from core.results import codec, keys, repository
from devstack import postgres as local_postgres
from devstack import redis as local_redis
from sql.apply import PASSWORD_VARIABLES, apply
from tests.support.databases import Connection, Databases, wait_for
from tests.support.processes import Service, running_service
from tests.support.workers import child_pids

MESSAGE_KEYS = (QUEUE, TAKEN_KEY, UNACKED_INDEX_KEY, UNACKED_KEY)


class Stack:
    """PostgreSQL, Redis that saves its data, and processes of the project with their default settings."""

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
        """Open a connection of the owner in autocommit mode, past any proxy."""
        connection = psycopg2.connect(self.databases.server.url)
        connection.autocommit = True
        self._exits.callback(connection.close)
        return connection

    def start(
        self, name: str, module: list[str], *, database_url: str = "", redis_url: str = "", **variables: str
    ) -> Service:
        """Start a process and watch it; the first word of its name is its role. The URLs may be those of proxies.

        A worker is ready when this returns.
        """
        role = f"metrics_{name.partition(' ')[0]}"
        env = {
            "DATABASE_URL": self.databases.url_as(role, database_url or self.databases.server.url),
            "REDIS_URL": redis_url or self.queue.url,
            **variables,
        }
        process = self._exits.enter_context(running_service(module, env, self._folder / f"{name}.log"))
        self.services[name] = process
        if role == "metrics_worker":
            wait_for(lambda: " ready." in process.output)
            self._pools[name] = child_pids(process)
        return process

    def pool(self, name: str) -> list[int]:
        """Return the process ids of a worker's pool."""
        return self._pools[name]

    def unwatch(self, process: Service) -> None:
        """Stop watching a process that the benchmark itself stops or kills."""
        [name] = [name for name, watched in self.services.items() if watched is process]
        del self.services[name]
        self._pools.pop(name, None)

    def unexpected_exits(self) -> list[str]:
        """Return descriptions of processes that exited by themselves, including those of the workers' pools."""
        exits = [
            f"{name} exited by itself with {exit_code}"
            for name, process in self.services.items()
            if (exit_code := process.popen.poll()) is not None
        ]
        for name, pool in self._pools.items():
            if self.services[name].popen.poll() is None and (exited := sum(not _is_running(pid) for pid in pool)):
                exits.append(f"{exited} pool processes of {name} exited by themselves")
        return exits

    @property
    def process_count(self) -> int:
        """Number of watched processes."""
        return len(self.services) + sum(map(len, self._pools.values()))

    def has_results(self, model_ids: Sequence[str], due_at: datetime) -> bool:
        """Return True if each model has its result of a due time; fast while the last one is missing."""
        store = repository.ResultStore(self.client)
        return not store.missing(model_ids[-1:], due_at) and not store.missing(model_ids, due_at)

    def wrong_results(self, model_ids: Sequence[str], due_times: Sequence[datetime]) -> list[str]:
        """Return descriptions of deviations from one good result of each model for each due time.

        Results after the last due time are ignored.
        """
        wrong: Counter[str] = Counter()
        for model_id in model_ids:
            members: Any = self.client.zrange(keys.results_key(model_id), 0, -1)
            decoded = [codec.decode_result(model_id, member) for member in members]
            results = [result for result in decoded if result.due_at <= due_times[-1]]
            counts = Counter(result.due_at for result in results)
            wrong.update(f"missing at {due_at:%H:%M}" for due_at in due_times if not counts[due_at])
            wrong.update(f"duplicate at {due_at:%H:%M}" for due_at, count in counts.items() if count > 1)
            wrong.update(f"unexpected at {due_at:%H:%M}" for due_at in counts.keys() - set(due_times))
            wrong.update(f"{result.status} at {result.due_at:%H:%M}" for result in results if result.status != "ok")
        return [f"{count} of {len(model_ids)} results are {defect}" for defect, count in sorted(wrong.items())]

    def remaining_messages(self) -> list[str]:
        """Return the keys in Redis that still hold messages."""
        return [key for key in MESSAGE_KEYS if self.client.exists(key)]

    def last_output(self) -> str:
        """Return the last lines of the output of all processes."""
        return "\n".join(
            f"--- {name}\n" + "\n".join(process.output.splitlines()[-15:]) for name, process in self.services.items()
        )


def _is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(") ")[2][0] != "Z"  # a zombie has exited
    except (FileNotFoundError, ProcessLookupError):
        return False


@contextmanager
def running(settings: Mapping[str, str] | None = None) -> Iterator[Stack]:
    """Run the servers with the schema applied; settings are those of postgresql.conf."""
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory()))
        server = exits.enter_context(local_postgres.running(settings=settings))
        queue = exits.enter_context(local_redis.running(folder / "redis"))
        passwords = {role: secrets.token_urlsafe(9) for role in PASSWORD_VARIABLES}
        apply(server.url, passwords=passwords, test_data=False)
        yield Stack(exits, Databases(server, passwords), queue, folder)
