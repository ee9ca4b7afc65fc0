"""PostgreSQL and Redis elsewhere: nothing but variables changes. The servers are on this machine, beside the stack."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import pytest

from tests.compose.docker import docker, logs_of, service_of
from tests.compose.running import a_stack, logs_shown
from tests.compose.stack import Stack
from tests.support.databases import MODEL, wait_for

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


class Server(NamedTuple):
    """A container beside the stack, and where the stack's containers reach it."""

    name: str
    address: str

    def psql(self, statement: str, database: str = "postgres") -> None:
        client = ("psql", "--host=127.0.0.1", "--username=postgres", f"--dbname={database}")
        docker("exec", self.name, *client, "-c", statement)

    def is_up(self) -> bool:
        try:
            self.psql("SELECT 1")
        except AssertionError:
            return False
        return True


@contextmanager
def a_server(image: str, port: int, *options: str) -> Iterator[Server]:
    name = f"cyclic-metrics-{image.split(':', maxsplit=1)[0]}-{os.getpid()}"
    try:
        with logs_shown(partial(logs_of, name)):
            docker("run", "--detach", "--name", name, "--publish", f"{docker_host()}::{port}", *options, image)
            published = docker("port", name, str(port)).strip().rpartition(":")[2]
            yield Server(name, f"host.docker.internal:{published}")
    finally:
        docker("rm", "--force", "--volumes", name)


def docker_host() -> str:
    """Return the address of this machine that containers reach as host.docker.internal."""
    gateway = docker("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}").strip()
    with socket.socket() as probe:
        try:
            probe.bind((gateway, 0))
        except OSError:  # the engine is in a virtual machine, and forwards to the loopback address of this one
            return "127.0.0.1"
    return gateway


@pytest.fixture(scope="module")
def postgres(engine: None) -> Iterator[Server]:
    with a_server("postgres:17", 5432, "--env", "POSTGRES_PASSWORD=of the administrator") as server:
        wait_for(server.is_up, seconds=60)
        for statement in ADMINISTRATE.strip().splitlines():
            server.psql(statement)
        yield server


@pytest.fixture(scope="module")
def redis(engine: None) -> Iterator[Server]:
    with a_server("redis:8", 6379) as server:
        yield server


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
