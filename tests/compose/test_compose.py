"""docker compose up, for real. COMPOSE_TESTS=1 runs it: it builds images, and takes a minute or two."""

import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

import api.settings
import scheduler.settings
import worker.settings
from tests.databases import MODEL, wait_for

ROOT = Path(__file__).parents[2]
UP = ("up", "--detach", "--wait", "--wait-timeout", "180")
OF_LIBPQ = {"PGPASSWORD"}
OF_THE_IMAGE = {"HOST", "PORT"}


def missing() -> str | None:
    """Return why these tests cannot run."""
    if os.environ.get("COMPOSE_TESTS") != "1":
        return "COMPOSE_TESTS=1 runs it: it builds images and starts containers"
    if shutil.which("docker") is None:
        return "there is no docker"
    for command in (["docker", "compose", "version"], ["docker", "info"]):
        asked = subprocess.run(command, capture_output=True, text=True, check=False)
        if asked.returncode:
            return f"{' '.join(command)}: {asked.stderr.strip()}"
    return None


MISSING = missing()
pytestmark = [pytest.mark.skipif(MISSING is not None, reason=str(MISSING)), pytest.mark.timeout(900)]


@dataclass(frozen=True)
class Stack:
    """A compose project of its own."""

    project: str
    port: int

    def compose(self, *arguments: str) -> str:
        env = {**os.environ, "COMPOSE_PROJECT_NAME": self.project, "PORT": str(self.port), "TEST_DATA": "true"}
        done = subprocess.run(
            ["docker", "compose", *arguments], cwd=ROOT, env=env, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"docker compose {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def containers(self, *services: str) -> list[dict[str, Any]]:
        lines = self.compose("ps", "--all", "--format", "json", *services).splitlines()
        return [json.loads(line) for line in lines]

    def call(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        connection = HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            connection.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
            response = connection.getresponse()
            return response.status, json.load(response)
        finally:
            connection.close()

    def print_logs(self) -> None:
        print(self.compose("ps", "--all"), self.compose("logs", "--no-color", "--tail", "200"), sep="\n")


@pytest.fixture(scope="module")
def stack() -> Iterator[Stack]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        started = Stack(f"cyclic-metrics-test-{os.getpid()}", free.getsockname()[1])
    try:
        try:
            started.compose(*UP, "--build")
        except AssertionError:
            started.print_logs()
            raise
        yield started
    finally:
        started.compose("down", "--volumes", "--remove-orphans", "--rmi", "local")


@pytest.fixture(autouse=True)
def logs_of_a_failure(request: pytest.FixtureRequest, stack: Stack) -> Iterator[None]:
    failed_before = request.session.testsfailed
    yield
    if request.session.testsfailed > failed_before:
        stack.print_logs()


def test_a_posted_schedule_runs_when_sql_asks_for_it(stack: Stack) -> None:
    status, _ = stack.call("POST", "/schedule", {"model_id": MODEL, "cron_expression": "* * * * *"})
    assert status == 201

    run_now = f"UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = '{MODEL}'"
    assert stack.compose("exec", "-T", "postgres", "psql", "-c", run_now) == "UPDATE 1\n"

    def result() -> Any:
        status, answer = stack.call("GET", f"/results/{MODEL}")
        return answer if status == 200 else None

    found = wait_for(result, seconds=30)
    assert found["status"] == "ok"
    assert 0 < found["metrics"]["accuracy"] <= 1


def test_it_scales(stack: Stack) -> None:
    stack.compose(*UP, "--scale", "worker=3", "--scale", "scheduler=2")

    containers = stack.containers("worker", "scheduler")
    assert sorted(container["Service"] for container in containers) == ["scheduler"] * 2 + ["worker"] * 3
    assert {container["Health"] for container in containers} == {"healthy"}
    status, answer = stack.call("GET", "/status")
    assert (status, answer["problems"]) == (200, [])


def test_a_scheduler_that_hangs_is_unhealthy(stack: Stack) -> None:
    def inside(command: str) -> str:
        return stack.compose("exec", "-T", "scheduler", "sh", "-c", command)

    def complaint() -> str:
        return inside("python -m scheduler.health 2>&1 || true")

    assert complaint() == ""
    inside("kill -STOP $(cat /proc/1/task/1/children)")
    try:
        said = wait_for(complaint, seconds=30)
    finally:
        inside("kill -CONT $(cat /proc/1/task/1/children)")

    # A standby may have ended its session before.
    assert "has asked PostgreSQL nothing for" in said or "is connected to PostgreSQL" in said
    assert wait_for(lambda: complaint() == "", seconds=30)


def test_nothing_runs_as_root(stack: Stack) -> None:
    for service in ("postgres", "redis", "api", "scheduler", "worker"):
        assert stack.compose("exec", "-T", service, "id", "-u") != "0\n", service


class Asked(Mapping[str, str]):
    """An environment that remembers what it was asked for."""

    def __init__(self) -> None:
        self.names: set[str] = set()

    def __getitem__(self, name: str) -> str:
        self.names.add(name)
        if name.endswith("_URL"):
            return "required"
        raise KeyError(name)

    def __iter__(self) -> Iterator[str]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


@pytest.mark.parametrize("module", [api.settings, scheduler.settings, worker.settings])
def test_a_service_is_given_what_its_settings_read(stack: Stack, module: Any) -> None:
    asked = Asked()
    module.Settings.from_env(asked)

    services = json.loads(stack.compose("config", "--format", "json"))["services"]

    given = set(services[module.__package__]["environment"])
    assert given - OF_LIBPQ == asked.names - OF_THE_IMAGE


def test_everything_ends_when_it_is_told_to(stack: Stack) -> None:
    """Last, for it stops the stack: with 137, SIGTERM would not have reached a process."""
    stack.compose("stop")

    assert {container["Service"]: container["ExitCode"] for container in stack.containers()} == dict.fromkeys(
        ("postgres", "redis", "database", "api", "scheduler", "worker"), 0
    )
