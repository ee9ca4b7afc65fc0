"""A real PostgreSQL of one's own, without root and without Docker."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from devstack.cluster import prepare
from devstack.ports import free_port
from devstack.process import CannotStart, Process, wait_until

READY_SECONDS = 30.0


@dataclass(frozen=True)
class Server:
    """A server that answers; url is its owner's, a superuser."""

    url: str
    process: Process


@contextmanager
def running(
    folder: Path | None = None,
    *,
    port: int | None = None,
    binaries: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server; without a folder in one that is deleted afterwards, without a port on a free one."""
    with tempfile.TemporaryDirectory(prefix="cyclic-metrics-", ignore_cleanup_errors=True) as temporary:
        Path(temporary).chmod(0o711)  # the account "nobody" must get through
        cluster = prepare(folder or Path(temporary), binaries)
        port = port or free_port()
        process = cluster.server(port, settings or {})
        process.start()
        try:
            wait_for_start(process, cluster.url(port))
            yield Server(cluster.url(port), process)
        finally:
            process.stop()


def wait_for_start(process: Process, url: str) -> None:
    """Return when the server lets the URL's user in; raises CannotStart if it ends, or takes too long."""
    answered = wait_until(lambda: answers(url) or not process.alive, seconds=READY_SECONDS)
    if not answered or not process.alive:
        raise CannotStart(f"PostgreSQL does not answer: {process.end}")


def answers(url: str) -> bool:
    """Whether a server lets the URL's user in."""
    try:
        psycopg2.connect(url, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True
