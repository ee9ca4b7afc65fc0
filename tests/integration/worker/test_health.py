"""The health check of a worker's container."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.ports import free_port
from devstack.services import WORKER
from tests.support.databases import DEADLINE, wait_for
from tests.support.processes import running_service

NOBODY_ASKS_IT = {"DATABASE_URL": "postgresql://unused"}


def check(env: dict[str, str]) -> tuple[int, str]:
    command = [sys.executable, "-m", "worker.health"]
    done = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=DEADLINE, check=False
    )
    return done.returncode, done.stderr.strip()


@pytest.fixture
def env(redis_url: str) -> dict[str, str]:
    return {**NOBODY_ASKS_IT, "REDIS_URL": redis_url}


def test_a_worker_that_answers_is_well(env: dict[str, str], tmp_path: Path) -> None:
    with running_service(WORKER, env, tmp_path / "worker.log") as running:
        wait_for(lambda: " ready." in running.output)

        assert check(env) == (0, "")


def test_a_worker_that_is_not_there_is_not(env: dict[str, str]) -> None:
    assert check(env) == (1, f"celery@{socket.gethostname()} does not answer")


def test_with_a_silent_redis_it_ends_and_says_so() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        code, said = check({**NOBODY_ASKS_IT, "REDIS_URL": f"redis://127.0.0.1:{silent.getsockname()[1]}/0"})

    assert (code, said) == (1, "Redis: Timeout reading from socket")


def test_without_redis_it_says_so() -> None:
    code, said = check({**NOBODY_ASKS_IT, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})

    assert code == 1
    assert said.startswith("Redis: ")
    assert "Connection refused" in said
