"""A compose project of the tests' own, driven as an operator drives it."""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from typing import Any, Literal, NamedTuple

from devstack.process import ROOT
from tests.compose.docker import docker, finished, inspected, is_healthy, said
from tests.support.databases import wait_for

OURS = ("api", "scheduler", "worker")
SERVICES = ("postgres", "redis", *OURS)  # those that stay; `database` ends when it is done
ACCURACY = 0.75  # of every model that tests make

# Moves the clock on, never back: to so many seconds before a full minute that was not there yet.
MOVE_CLOCK = """
DO $$
DECLARE
    clock timestamptz := greatest(
        public.schedule_now(), (SELECT max(last_due_at) FROM public.crons), to_timestamp({latest}));
    minute timestamptz := date_trunc('minute', clock + interval '{seconds} seconds' + interval '1 minute');
BEGIN
    EXECUTE format('CREATE OR REPLACE FUNCTION public.schedule_now() RETURNS timestamptz
        LANGUAGE sql VOLATILE PARALLEL SAFE RETURN clock_timestamp() + %L::interval',
        minute - interval '{seconds} seconds' - clock_timestamp());
END;
$$;
NOTIFY metrics_executions;
SELECT extract(epoch FROM minute), extract(epoch FROM minute - now + clock_timestamp())
FROM public.schedule_now() AS now, date_trunc('minute', now + interval '1 minute') AS minute
"""

# Members of a model's results begin with their moment: one that is stored twice would be two members.
RESULTS = """
local found = {}
for _, key in ipairs(redis.call('KEYS', 'metrics:results:*')) do
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        table.insert(found, key .. ' ' .. member)
    end
end
return found
"""

# Runs among the engine's own processes, wherever the engine is, and needs no rights on the machine of the tests.
KILL = """
import os, signal, sys
from pathlib import Path
for pid in map(int, sys.argv[2:]):
    if sys.argv[1] == "program":
        [pid] = map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())
    os.kill(pid, signal.SIGKILL)
"""

Victim = Literal["init", "program"]  # process 1 of a container, or the service that it has started


class Minute(NamedTuple):
    """A full minute of the stack's clock, and when it comes by this machine's, in epoch seconds."""

    due_at: datetime
    comes_at: float


@dataclass(frozen=True)
class Stack:
    """The containers, networks and volumes of one project, on a port of its own."""

    project: str
    port: int
    variables: Mapping[str, str] = field(default_factory=dict)
    # Applying sql/ sets the clock back, and a minute that has come once has its results.
    minutes: list[Minute] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """What commands need so that they mean this project; the developer's own .env does not count."""
        own = {"COMPOSE_PROJECT_NAME": self.project, "COMPOSE_FILE": str(ROOT / "compose.yaml"), "PORT": str(self.port)}
        return {**os.environ, "COMPOSE_DISABLE_ENV_FILE": "1", "NO_COLOR": "1", **own, **self.variables}

    def compose(self, *arguments: str, text: str | None = None) -> str:
        """Run docker compose, and return what it prints."""
        return said(["docker", "compose", *arguments], env=self.environment, text=text)

    def shell(self, commands: Iterable[str], folder: Path) -> str:
        """Run lines of a document in a folder, as a reader who pastes them; the first that fails ends it."""
        script = "\n".join(commands).replace("localhost:5000", f"localhost:{self.port}")
        return said(["bash", "-euo", "pipefail", "-c", script], env=self.environment, cwd=folder)

    def up(self, *arguments: str) -> None:
        """Start whatever does not run, and wait until all of it is healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", "180", *arguments)

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """Return what `docker inspect` says of the containers of some services, or of all."""
        return inspected(self.compose("ps", "--all", "--quiet", *services).split())

    def container(self, service: str) -> dict[str, Any]:
        """Return the same of the only container of a service."""
        [found] = self.containers(service)
        return found

    def kill(self, victim: Victim, *services: str) -> None:
        """End processes of the services by kill -9, all at once; after `docker kill` none would be started again."""
        pids = [str(self.container(service)["State"]["Pid"]) for service in services]
        run = ("run", "--rm", "--privileged", "--pid=host", "--user=root", "--entrypoint=python")
        docker(*run, f"{self.project}-api", "-c", KILL, victim, *pids)

    def wait_until_healthy(self) -> None:
        """Wait until every service is healthy again, by itself."""
        wait_for(lambda: all(is_healthy(container) for container in self.containers(*SERVICES)), seconds=60)

    def sql(self, statement: str) -> str:
        """Run SQL as the owner, by psql in the container; returns bare rows."""
        options = ("--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        return self.compose("exec", "-T", "postgres", "psql", *options, text=statement).strip()

    def minute(self, *, seconds: int) -> Minute:
        """Let the next full minute come in so many seconds."""
        latest = self.minutes[-1].due_at.timestamp() if self.minutes else 0
        due_at, comes_at = self.sql(MOVE_CLOCK.format(seconds=seconds, latest=latest)).split("|")
        self.minutes.append(Minute(datetime.fromtimestamp(float(due_at), UTC), float(comes_at)))
        return self.minutes[-1]

    def is_complete(self, models: Iterable[str], minute: Minute) -> bool:
        """Whether the API shows a result of this minute for every model, with the accuracy that all of them have."""
        for model_id in models:
            status, result = self.call("GET", f"/results/{model_id}")
            if status != 200 or datetime.fromisoformat(result["due_at"]) != minute.due_at:
                return False
            assert result["metrics"] == {"accuracy": ACCURACY}
        return True

    def run_a_minute(self, models: Iterable[str]) -> None:
        """Let a full minute come, and wait until every model has its result of it."""
        minute = self.minute(seconds=2)
        wait_for(lambda: self.is_complete(models, minute))

    @contextmanager
    def nothing_is_lost(self, models: Iterable[str]) -> Iterator[None]:
        """Whatever the block does: the next minute is complete, and schedules and results are as they were."""
        results, schedules = self.results(), self.schedules()
        yield
        self.run_a_minute(models)
        assert self.schedules() == schedules
        assert set(self.results()) >= set(results)

    def schedules(self) -> str:
        """Return every schedule, as users have set it."""
        return self.sql("SELECT model_id, cron_expression, timezone, enabled FROM metrics_executions ORDER BY model_id")

    def results(self) -> list[str]:
        """Return every result that Redis holds, with its key."""
        found: list[str] = json.loads(self.compose("exec", "-T", "redis", "redis-cli", "--json", "EVAL", RESULTS, "0"))
        return found

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Call the API through its published port; returns the status and the JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    def logs(self) -> str:
        """Return the state of all containers and their last lines, whatever state the project is in."""
        commands = (["ps", "--all"], ["logs", "--no-color", "--tail", "200"])
        return "\n".join(finished(["docker", "compose", *command], env=self.environment).stdout for command in commands)

    def leftovers(self) -> str:
        """Return the names of the project's containers, volumes and networks that are there."""
        label = ("--filter", f"label=com.docker.compose.project={self.project}")
        return (
            docker("ps", "--all", "--quiet", *label)
            + docker("volume", "ls", "--quiet", *label)
            + docker("network", "ls", "--quiet", *label)
        )

    def remove(self) -> None:
        """Remove all that the project made, its images too."""
        self.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5")
