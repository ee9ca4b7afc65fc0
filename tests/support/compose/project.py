"""A compose project for tests, operated by the commands of an operator."""

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
from tests.support.compose.docker_cli import (
    LOG_LINES,
    command_output,
    docker,
    inspect_containers,
    is_healthy,
    run_command,
)
from tests.support.databases import wait_for

APP_SERVICES = ("api", "scheduler", "worker")
SERVICES = ("postgres", "redis", *APP_SERVICES)  # without `database`, which exits after the set-up
ACCURACY = 0.75  # of each model of the tests
UP_TIMEOUT = "180"  # seconds
REQUEST_TIMEOUT = 10  # seconds

# Sets the clock forward, never back: to so many seconds before a full minute that it has not reached yet.
SET_CLOCK = """
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
SCHEDULES = "SELECT model_id, cron_expression, timezone, enabled FROM metrics_executions ORDER BY model_id"

# Members of a model's results begin with their due time: a result that is stored twice would be two members.
RESULTS = """
local results = {}
for _, key in ipairs(redis.call('KEYS', 'metrics:results:*')) do
    for _, member in ipairs(redis.call('ZRANGE', key, 0, -1)) do
        table.insert(results, key .. ' ' .. member)
    end
end
return results
"""

# Runs in the process namespace of the Docker host, wherever that is, and needs no rights on the machine of the tests.
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
    """A full minute of the project's clock, and its real time in epoch seconds."""

    due_at: datetime
    starts_at: float


@dataclass(frozen=True)
class ComposeProject:
    """Containers, networks and volumes of a project, on a port of its own."""

    name: str
    port: int
    variables: Mapping[str, str] = field(default_factory=dict)
    # Applying sql/ sets the clock back, and a minute that has passed once has its results.
    minutes: list[Minute] = field(default_factory=list)

    @property
    def environment(self) -> dict[str, str]:
        """Environment of the commands; the developer's own .env is ignored."""
        own = {"COMPOSE_PROJECT_NAME": self.name, "COMPOSE_FILE": str(ROOT / "compose.yaml"), "PORT": str(self.port)}
        return {**os.environ, "COMPOSE_DISABLE_ENV_FILE": "1", "NO_COLOR": "1", **own, **self.variables}

    def compose(self, *arguments: str, text: str | None = None) -> str:
        """Run docker compose, and return its standard output."""
        return command_output(["docker", "compose", *arguments], env=self.environment, text=text)

    def shell(self, commands: Iterable[str], folder: Path) -> str:
        """Run commands of a document in a folder, as if pasted; the first failure ends the script."""
        script = "\n".join(commands).replace("localhost:5000", f"localhost:{self.port}")
        return command_output(["bash", "-euo", "pipefail", "-c", script], env=self.environment, cwd=folder)

    def up(self, *arguments: str) -> None:
        """Start all services, and wait until they are healthy."""
        self.compose("up", "--detach", "--wait", "--wait-timeout", UP_TIMEOUT, *arguments)

    def containers(self, *services: str) -> list[dict[str, Any]]:
        """Return the output of `docker inspect` for the containers of some services, or of all."""
        return inspect_containers(self.compose("ps", "--all", "--quiet", *services).split())

    def container(self, service: str) -> dict[str, Any]:
        """Return the output of `docker inspect` for the only container of a service."""
        [container] = self.containers(service)
        return container

    def kill(self, victim: Victim, *services: str) -> None:
        """Send SIGKILL to processes of the services at the same time; after `docker kill`, none would be restarted."""
        pids = [str(self.container(service)["State"]["Pid"]) for service in services]
        run = ("run", "--rm", "--privileged", "--pid=host", "--user=root", "--entrypoint=python")
        docker(*run, f"{self.name}-api", "-c", KILL, victim, *pids)

    def wait_until_healthy(self) -> None:
        """Wait until every service has recovered by itself."""
        wait_for(lambda: all(is_healthy(container) for container in self.containers(*SERVICES)), seconds=60)

    def sql(self, statement: str) -> str:
        """Run SQL as the owner, by psql in the container; returns unaligned rows."""
        options = ("--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1")
        return self.compose("exec", "-T", "postgres", "psql", *options, text=statement).strip()

    def start_minute(self, *, in_seconds: int) -> Minute:
        """Set the clock so that the next full minute starts in so many seconds."""
        latest = self.minutes[-1].due_at.timestamp() if self.minutes else 0
        due_at, starts_at = self.sql(SET_CLOCK.format(seconds=in_seconds, latest=latest)).split("|")
        self.minutes.append(Minute(datetime.fromtimestamp(float(due_at), UTC), float(starts_at)))
        return self.minutes[-1]

    def is_complete(self, models: Iterable[str], minute: Minute) -> bool:
        """Return True if the API returns a result of this minute for each model; checks its accuracy."""
        for model_id in models:
            status, result = self.call("GET", f"/results/{model_id}")
            if status != 200 or datetime.fromisoformat(result["due_at"]) != minute.due_at:
                return False
            assert result["metrics"] == {"accuracy": ACCURACY}
        return True

    def run_minute(self, models: Iterable[str]) -> None:
        """Start a full minute, and wait until each model has its result."""
        minute = self.start_minute(in_seconds=2)
        wait_for(lambda: self.is_complete(models, minute))

    @contextmanager
    def nothing_lost(self, models: Iterable[str]) -> Iterator[None]:
        """Assert that after the block schedules and results are the same, and the next minute is complete."""
        results, schedules = self.results(), self.schedules()
        yield
        self.run_minute(models)
        assert self.schedules() == schedules
        assert set(self.results()) >= set(results)

    def schedules(self) -> str:
        """Return the columns of each schedule that users set."""
        return self.sql(SCHEDULES)

    def results(self) -> list[str]:
        """Return each result in Redis, with its key."""
        output = self.compose("exec", "-T", "redis", "redis-cli", "--json", "EVAL", RESULTS, "0")
        results: list[str] = json.loads(output)
        return results

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Call the API through its published port; returns the status and the JSON."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=REQUEST_TIMEOUT)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    def logs(self) -> str:
        """Return the state and the last lines of all containers, even of a broken project."""
        commands = (["ps", "--all"], ["logs", "--no-color", "--tail", LOG_LINES])
        return "\n".join(
            run_command(["docker", "compose", *command], env=self.environment).stdout for command in commands
        )

    def resources(self) -> str:
        """Return the ids of the project's containers, volumes and networks."""
        label = ("--filter", f"label=com.docker.compose.project={self.name}")
        return (
            docker("ps", "--all", "--quiet", *label)
            + docker("volume", "ls", "--quiet", *label)
            + docker("network", "ls", "--quiet", *label)
        )

    def remove(self) -> None:
        """Remove containers, volumes, networks and images of the project."""
        self.compose("down", "--volumes", "--remove-orphans", "--rmi", "local", "--timeout", "5")
