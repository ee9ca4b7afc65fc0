"""Health check of the worker's container."""

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from devstack.ports import free_port
from tests.support.databases import DEFAULT_TIMEOUT
from tests.support.workers import running_worker

UNUSED_DATABASE = {"DATABASE_URL": "postgresql://unused"}


def check_health(env: dict[str, str]) -> tuple[int, str]:
    """Return the exit code and the error output of the health check."""
    command = [sys.executable, "-m", "worker.health"]
    completed = subprocess.run(
        command, env={**os.environ, **env}, capture_output=True, text=True, timeout=DEFAULT_TIMEOUT, check=False
    )
    return completed.returncode, completed.stderr.strip()


@pytest.fixture
def env(redis_url: str) -> dict[str, str]:
    return {**UNUSED_DATABASE, "REDIS_URL": redis_url}


def test_worker_that_responds_is_healthy(env: dict[str, str], tmp_path: Path) -> None:
    with running_worker(env, tmp_path):
        assert check_health(env) == (0, "")


def test_missing_worker_is_unhealthy(env: dict[str, str]) -> None:
    assert check_health(env) == (1, f"celery@{socket.gethostname()} does not respond")


def test_health_check_fails_if_redis_does_not_respond() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        code, error = check_health({**UNUSED_DATABASE, "REDIS_URL": url})

    assert (code, error) == (1, "Redis: Timeout reading from socket")


def test_health_check_fails_if_redis_refuses_connections() -> None:
    code, error = check_health({**UNUSED_DATABASE, "REDIS_URL": f"redis://127.0.0.1:{free_port()}/0"})

    assert code == 1
    assert error.startswith("Redis: ")
    assert "Connection refused" in error
