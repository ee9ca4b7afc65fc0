"""Processes of the three services, each with its own role in PostgreSQL."""

import os
import sys
from collections.abc import Mapping
from urllib.parse import quote, urlsplit

from devstack.ports import HOST
from devstack.process import Process

# Arguments of `python -m`.
WORKER = ["worker", "--concurrency=2"]
SCHEDULER = ["scheduler"]
API = ["api.main"]


def services(owner_url: str, redis_url: str, passwords: Mapping[str, str], port: int) -> list[Process]:
    """Return the processes in the order of their start: receivers of messages before their senders."""
    common = {**os.environ, "REDIS_URL": redis_url, "PYTHONUNBUFFERED": "1"}

    def service(name: str, module: list[str], **env: str) -> Process:
        role = f"metrics_{name}"
        url = url_as(owner_url, role, passwords[role])
        return Process(name, [sys.executable, "-m", *module], env={**common, "DATABASE_URL": url, **env})

    return [
        service("worker", WORKER),
        service("scheduler", SCHEDULER),
        service("api", API, HOST=HOST, PORT=str(port)),
    ]


def url_as(owner_url: str, role: str, password: str) -> str:
    """Return the URL of the same database for another role."""
    parts = urlsplit(owner_url)
    address = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{role}:{quote(password, safe='')}@{address}").geturl()
