"""PostgreSQL servers for tests: the embedded one, and the oldest supported version."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import psycopg2

from devstack import postgres as local_postgres
from sql.apply import apply
from tests.support.databases import Databases, execute

# Commits are durable if the server is killed, not if the machine fails.
FAST_SETTINGS = {"fsync": "off", "full_page_writes": "off", "autovacuum": "off"}
# Debian's path; tests/integration/sql runs on this version too if it is installed.
OLDEST_POSTGRES = Path("/usr/lib/postgresql/15/bin")


@contextmanager
def running_databases(passwords: dict[str, str], binaries: Path | None = None) -> Iterator[Databases]:
    """Start a server with sql/ applied; binaries is the folder of another version."""
    with local_postgres.running(binaries=binaries, settings=FAST_SETTINGS) as server:
        _speed_up_logins(server.url)
        apply(server.url, passwords=passwords, test_data=False)
        yield Databases(server, passwords)


def _speed_up_logins(url: str) -> None:
    """Store passwords, from now on, with one iteration of SCRAM: the usual 4096 are half the time of a connection."""
    with closing(psycopg2.connect(url)) as connection:
        if connection.server_version < 160000:
            return
        with connection:
            execute(connection, "ALTER ROLE CURRENT_USER SET scram_iterations = 1; SET scram_iterations = 1")
            execute(connection, "ALTER ROLE CURRENT_USER PASSWORD %s", urlsplit(url).password)
