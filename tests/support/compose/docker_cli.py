"""Docker commands and their output."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devstack.process import ROOT

BASE_IMAGE = (ROOT / "Dockerfile").read_text().split("\nFROM ", 1)[1].split()[0]
COMMAND_TIMEOUT = 300  # seconds; the first command builds all images
LOG_LINES = "200"


def run_command(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path = ROOT, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command, successful or not; text is its standard input."""
    return subprocess.run(
        command, cwd=cwd, env=env, input=text, capture_output=True, text=True, timeout=COMMAND_TIMEOUT, check=False
    )


def command_output(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path = ROOT, text: str | None = None
) -> str:
    """Run a command that must succeed, and return its standard output."""
    process = run_command(command, env=env, cwd=cwd, text=text)
    assert process.returncode == 0, f"{' '.join(command)}: {process.stdout}{process.stderr}"
    return process.stdout


def docker(*arguments: str) -> str:
    """Run docker, and return its standard output."""
    return command_output(["docker", *arguments])


def container_logs(container: str) -> str:
    """Return the last lines of a container's output."""
    process = run_command(["docker", "logs", "--tail", LOG_LINES, container])
    return process.stdout + process.stderr


def image_size(image: str) -> int:
    """Return the size of an image, in bytes."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def size_above_base(image: str) -> int:
    """Return the size that an image adds to its base image, in bytes."""
    return image_size(image) - image_size(BASE_IMAGE)


def inspect_containers(ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return the output of `docker inspect`."""
    containers: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
    return containers


def is_healthy(container: Mapping[str, Any]) -> bool:
    """Return True if the container runs and its health check succeeds."""
    return bool(container["State"]["Running"]) and container["State"]["Health"]["Status"] == "healthy"


def service_of(container: Mapping[str, Any]) -> str:
    """Return the name of the container's service in compose.yaml."""
    name: str = container["Config"]["Labels"]["com.docker.compose.service"]
    return name


def unavailable_reason() -> str | None:
    """Return why containers cannot be started on this machine; None if they can."""
    if shutil.which("docker") is None:
        return "needs Docker, and there is no docker command"
    for command in (["docker", "compose", "version"], ["docker", "info"]):
        process = run_command(command)
        if process.returncode:
            return f"needs Docker: {' '.join(command)} failed: {process.stderr.strip()}"
    return None
