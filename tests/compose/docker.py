"""Docker, as tests run it and read what it says."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from devstack.process import ROOT

BASE = (ROOT / "Dockerfile").read_text().split("\nFROM ", 1)[1].split()[0]
SECONDS = 300  # that one command may take; the first one builds all images


def finished(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path = ROOT, text: str | None = None
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end, whatever that is; text is its input."""
    return subprocess.run(
        command, cwd=cwd, env=env, input=text, capture_output=True, text=True, timeout=SECONDS, check=False
    )


def said(
    command: Sequence[str], *, env: Mapping[str, str] | None = None, cwd: Path = ROOT, text: str | None = None
) -> str:
    """Run a command that must succeed, and return what it prints."""
    done = finished(command, env=env, cwd=cwd, text=text)
    assert done.returncode == 0, f"{' '.join(command)}: {done.stdout}{done.stderr}"
    return done.stdout


def docker(*arguments: str) -> str:
    """Run docker, and return what it prints."""
    return said(["docker", *arguments])


def logs_of(container: str) -> str:
    """Return what a container has said lately."""
    done = finished(["docker", "logs", "--tail", "200", container])
    return done.stdout + done.stderr


def size_above_base(image: str) -> int:
    """Return how many bytes an image of ours adds to the one that it is made from."""
    return size(image) - size(BASE)


def size(image: str) -> int:
    """Return the bytes of an image."""
    return int(docker("image", "inspect", "--format", "{{.Size}}", image))


def inspected(ids: Sequence[str]) -> list[dict[str, Any]]:
    """Return what `docker inspect` says of containers."""
    found: list[dict[str, Any]] = json.loads(docker("inspect", *ids)) if ids else []
    return found


def is_healthy(container: Mapping[str, Any]) -> bool:
    """Whether it runs and its health check says so."""
    return bool(container["State"]["Running"]) and container["State"]["Health"]["Status"] == "healthy"


def service_of(container: Mapping[str, Any]) -> str:
    """Return the name that compose.yaml gives the container's service."""
    name: str = container["Config"]["Labels"]["com.docker.compose.service"]
    return name


def missing() -> str | None:
    """Return why containers cannot be started here; None if they can."""
    if shutil.which("docker") is None:
        return "it needs Docker, and there is no docker here"
    for command in (["docker", "compose", "version"], ["docker", "info"]):
        asked = finished(command)
        if asked.returncode:
            return f"it needs Docker: {' '.join(command)} says {asked.stderr.strip()}"
    return None
