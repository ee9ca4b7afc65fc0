"""External PostgreSQL and Redis: only variables change. The servers run on this machine, beside the project."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.support.compose.docker_cli import container_logs, docker, service_of
from tests.support.compose.lifecycle import logs_on_failure, running_project
from tests.support.compose.project import ComposeProject
from tests.support.databases import MODEL, wait_for

pytestmark = pytest.mark.timeout(600)

# Roles by an administrator: the owner is not allowed to create any.
CREATE_ROLES = """
    CREATE ROLE owner LOGIN PASSWORD 'of the owner';
    CREATE DATABASE metrics OWNER owner;
    CREATE ROLE metrics_api LOGIN PASSWORD 'metrics_api';
    CREATE ROLE metrics_scheduler LOGIN PASSWORD 'metrics_scheduler';
    CREATE ROLE metrics_worker LOGIN PASSWORD 'metrics_worker';
    CREATE ROLE metrics_client LOGIN PASSWORD 'metrics_client';
"""


class Server(NamedTuple):
    """A server in a container, and its address from the project's containers."""

    container: str
    address: str

    def psql(self, statement: str, database: str = "postgres") -> None:
        client = ("psql", "--host=127.0.0.1", "--username=postgres", f"--dbname={database}")
        docker("exec", self.container, *client, "-c", statement)

    def is_up(self) -> bool:
        try:
            self.psql("SELECT 1")
        except AssertionError:
            return False
        return True


@contextmanager
def running_server(image: str, port: int, *options: str) -> Iterator[Server]:
    container = f"cyclic-metrics-{image.split(':', maxsplit=1)[0]}-{os.getpid()}"
    try:
        with logs_on_failure(partial(container_logs, container)):
            docker("run", "--detach", "--name", container, "--publish", f"{host_address()}::{port}", *options, image)
            published_port = docker("port", container, str(port)).strip().rpartition(":")[2]
            yield Server(container, f"host.docker.internal:{published_port}")
    finally:
        docker("rm", "--force", "--volumes", container)


def host_address() -> str:
    """Return the address of this machine to which host.docker.internal resolves in containers."""
    gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()
    with socket.socket() as probe:
        try:
            probe.bind((gateway, 0))
        except OSError:  # Docker runs in a virtual machine, and forwards to the loopback address of this one
            return "127.0.0.1"
    return gateway


@pytest.fixture(scope="module")
def postgres(docker_engine: None) -> Iterator[Server]:
    with running_server("postgres:17", 5432, "--env", "POSTGRES_PASSWORD=of the administrator") as server:
        wait_for(server.is_up, seconds=60)
        for statement in CREATE_ROLES.strip().splitlines():
            server.psql(statement)
        yield server


@pytest.fixture(scope="module")
def redis(docker_engine: None) -> Iterator[Server]:
    with running_server("redis:8", 6379) as server:
        yield server


@pytest.fixture(scope="module")
def external_project(postgres: Server, redis: Server) -> Iterator[ComposeProject]:
    variables = {
        "POSTGRES_SCALE": "0",
        "EXTERNAL_POSTGRES": f"{postgres.address}/metrics?sslmode=prefer",
        "POSTGRES_USER": "owner",
        "POSTGRES_PASSWORD": "of the owner",
        "REDIS_SCALE": "0",
        "EXTERNAL_REDIS": f"redis://{redis.address}/1",
        "TEST_DATA": "true",
    }
    with running_project("external", variables) as project:
        yield project


def test_project_runs_on_external_servers(external_project: ComposeProject, postgres: Server) -> None:
    services = {service_of(container) for container in external_project.containers()}
    assert services == {"database", "api", "scheduler", "worker"}
    schedule = {"model_id": MODEL, "cron_expression": "0 0 1 1 *"}
    assert external_project.call("POST", "/schedule", schedule)[0] == 201
    postgres.psql(f"UPDATE metrics_executions SET run_requested_at = now() WHERE model_id = '{MODEL}'", "metrics")

    def find_result() -> Any:
        status, result = external_project.call("GET", f"/results/{MODEL}")
        return result if status == 200 else None

    assert wait_for(find_result)["status"] == "ok"
    assert external_project.call("GET", "/status")[1]["problems"] == []
