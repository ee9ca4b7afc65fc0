"""PostgreSQL and Redis elsewhere: nothing but variables changes. The servers are on this machine, beside the stack."""

import os
from collections.abc import Iterator
from typing import Any

import pytest

from tests.compose.conftest import a_stack
from tests.compose.docker import docker, service_of
from tests.compose.stack import Stack
from tests.databases import MODEL, wait_for

pytestmark = pytest.mark.timeout(600)

# An administrator who gives the owner no right to make roles makes them himself.
ADMINISTRATE = """
    CREATE ROLE owner LOGIN PASSWORD 'of the owner';
    CREATE DATABASE metrics OWNER owner;
    CREATE ROLE metrics_api LOGIN PASSWORD 'metrics_api';
    CREATE ROLE metrics_scheduler LOGIN PASSWORD 'metrics_scheduler';
    CREATE ROLE metrics_worker LOGIN PASSWORD 'metrics_worker';
    CREATE ROLE metrics_client LOGIN PASSWORD 'metrics_client';
"""


class Server:
    """A container beside the stack, published where containers find host.docker.internal."""

    def __init__(self, image: str, port: int, *options: str) -> None:
        gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()
        self.name = f"cyclic-metrics-{image.split(':', maxsplit=1)[0]}-{os.getpid()}"
        docker("run", "--detach", "--name", self.name, "--publish", f"{gateway}::{port}", *options, image)
        published = docker("port", self.name, str(port)).strip().rpartition(":")[2]
        self.address = f"host.docker.internal:{published}"

    def psql(self, statement: str, database: str = "postgres") -> None:
        docker(
            "exec",
            self.name,
            "psql",
            "--host=127.0.0.1",
            "--username=postgres",
            f"--dbname={database}",
            "-c",
            statement,
        )

    def is_up(self) -> bool:
        try:
            self.psql("SELECT 1")
        except AssertionError:
            return False
        return True

    def remove(self) -> None:
        docker("rm", "--force", "--volumes", self.name)


@pytest.fixture(scope="module")
def postgres(engine: None) -> Iterator[Server]:
    server = Server("postgres:17", 5432, "--env", "POSTGRES_PASSWORD=of the administrator")
    try:
        wait_for(server.is_up, seconds=60)
        for statement in ADMINISTRATE.strip().splitlines():
            server.psql(statement)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="module")
def redis(engine: None) -> Iterator[Server]:
    server = Server("redis:8", 6379)
    yield server
    server.remove()


@pytest.fixture(scope="module")
def external(postgres: Server, redis: Server) -> Iterator[Stack]:
    variables = {
        "POSTGRES_SCALE": "0",
        "EXTERNAL_POSTGRES": f"{postgres.address}/metrics?sslmode=prefer",
        "POSTGRES_USER": "owner",
        "POSTGRES_PASSWORD": "of the owner",
        "REDIS_SCALE": "0",
        "EXTERNAL_REDIS": f"redis://{redis.address}/1",
        "TEST_DATA": "true",
    }
    with a_stack("external", variables) as made:
        yield made


def test_the_stack_runs_on_servers_elsewhere(external: Stack, postgres: Server) -> None:
    assert {service_of(container) for container in external.containers()} == {"database", "api", "scheduler", "worker"}
    assert external.call("POST", "/schedule", {"model_id": MODEL, "cron_expression": "0 0 1 1 *"})[0] == 201
    postgres.psql(f"UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = '{MODEL}'", "metrics")

    def result() -> Any:
        status, answer = external.call("GET", f"/results/{MODEL}")
        return answer if status == 200 else None

    assert wait_for(result)["status"] == "ok"
    assert external.call("GET", "/status")[1]["problems"] == []
