"""A PostgreSQL server, without root and without Docker."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg2

from devstack.cluster import prepare
from devstack.ports import free_port
from devstack.process import CannotStart, Process, wait_until

START_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class Server:
    """A running server."""

    url: str  # of the owner, who is a superuser
    process: Process


@contextmanager
def running(
    folder: Path | None = None,
    *,
    port: int | None = None,
    binaries: Path | None = None,
    settings: Mapping[str, str] | None = None,
) -> Iterator[Server]:
    """Run a server; the default folder is a temporary one, the default port a free one."""
    with tempfile.TemporaryDirectory(prefix="cyclic-metrics-", ignore_cleanup_errors=True) as temporary:
        Path(temporary).chmod(0o711)  # the account "nobody" needs to pass through
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
    """Return when the server accepts connections; raises CannotStart if it exits, or after START_TIMEOUT."""
    is_over = wait_until(lambda: accepts_connections(url) or not process.alive, seconds=START_TIMEOUT)
    if not is_over or not process.alive:
        raise CannotStart(f"PostgreSQL does not accept connections: {process.exit_reason}")


def accepts_connections(url: str) -> bool:
    """Return True if a server accepts a connection with the URL."""
    try:
        psycopg2.connect(url, connect_timeout=2).close()
    except psycopg2.OperationalError:
        return False
    return True
