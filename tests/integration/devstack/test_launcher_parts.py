import os
import socket
import sys
from pathlib import Path

import pytest

from devstack import postgres_account
from devstack.ports import HOST, free_port, why_not
from devstack.private_files import kept_passwords
from devstack.process import CannotStart, Process, wait_until
from devstack.services import url_as
from devstack.settings import Settings
from devstack.supervisor import FIRST_PAUSE, LONGEST_PAUSE, SETTLED, Keeper
from tests.support.databases import DEADLINE


def test_without_variables_everything_is_started_here() -> None:
    settings = Settings.from_env({})

    assert settings == Settings(5000, Path(".local"), database_url=None, redis_url=None, test_data=True)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "5000.0", "¹", "http", " 80"])
def test_a_port_that_is_none_is_refused(port: str) -> None:
    with pytest.raises(CannotStart, match="PORT is"):
        Settings.from_env({"PORT": port})


@pytest.mark.parametrize(
    ("name", "value"), [("TEST_DATA", "yes"), ("DATABASE_URL", "host=db"), ("REDIS_URL", "cache:6379")]
)
def test_a_wrong_variable_is_named(name: str, value: str) -> None:
    with pytest.raises(CannotStart, match=name):
        Settings.from_env({name: value})


def test_a_wrong_url_is_not_quoted_for_it_has_a_password() -> None:
    with pytest.raises(CannotStart) as refusal:
        Settings.from_env({"DATABASE_URL": "postgre://me:secret@db/x"})

    assert "secret" not in str(refusal.value)


@pytest.mark.parametrize(
    ("owner", "expected"),
    [
        ("postgresql://owner:pw@db:5432/x", "postgresql://api:p%40w@db:5432/x"),
        ("postgresql://owner:p@w@db/x?sslmode=require", "postgresql://api:p%40w@db/x?sslmode=require"),
        ("postgresql:///x?host=/run/postgresql", "postgresql://api:p%40w@/x?host=/run/postgresql"),
        ("postgres://[::1]:5432/x", "postgres://api:p%40w@[::1]:5432/x"),
    ],
)
def test_a_service_reaches_the_same_database_as_another_role(owner: str, expected: str) -> None:
    assert url_as(owner, "api", "p@w") == expected


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.create_server((HOST, 0)) as server:
        assert why_not(server.getsockname()[1]) is not None

    assert why_not(free_port()) is None


def test_passwords_are_kept_for_their_owner_alone(tmp_path: Path) -> None:
    file = tmp_path / "passwords.json"

    first = kept_passwords(file, ["api"])

    assert kept_passwords(file, ["api", "worker"])["api"] == first["api"]
    assert file.stat().st_mode & 0o777 == 0o600


def ended(process: Process) -> None:
    assert wait_until(lambda: not process.alive, seconds=DEADLINE)


def test_pauses_grow_while_a_process_goes_on_ending() -> None:
    keeper = Keeper(Process("fails", [sys.executable, "-c", "raise SystemExit(3)"]))
    keeper.start(now=0)
    ended(keeper.process)

    assert keeper.process.end == "exit code 3"
    assert not keeper.look(now=0)
    assert not keeper.look(now=FIRST_PAUSE / 2)
    assert keeper.look(now=FIRST_PAUSE)
    ended(keeper.process)
    assert not keeper.look(now=1)
    assert not keeper.look(now=1 + FIRST_PAUSE)
    assert keeper.look(now=1 + 2 * FIRST_PAUSE)
    ended(keeper.process)


def test_an_end_after_a_long_run_pauses_as_the_first() -> None:
    keeper = Keeper(Process("fails", [sys.executable, "-c", ""]), _pause=LONGEST_PAUSE)
    keeper.start(now=0)
    ended(keeper.process)

    keeper.look(now=SETTLED + 1)

    assert keeper.look(now=SETTLED + 1 + FIRST_PAUSE)
    ended(keeper.process)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root has to hand PostgreSQL over to nobody")
def test_below_a_closed_folder_the_data_are_outside(
    tmp_path: Path, data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres_account, "OUTSIDE", data_dir / "outside")
    tmp_path.chmod(0o700)

    folder = postgres_account.reachable_folder(tmp_path / "postgres-18")

    assert folder.is_relative_to(data_dir / "outside")
    assert (tmp_path / "postgres-18").resolve() == folder
    assert postgres_account.reachable_folder(tmp_path / "postgres-18") == folder
