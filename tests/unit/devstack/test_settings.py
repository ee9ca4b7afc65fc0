from pathlib import Path

import pytest

from devstack.process import CannotStart
from devstack.settings import Settings


def test_without_variables_all_servers_are_started() -> None:
    settings = Settings.from_env({})

    assert settings == Settings(5000, Path(".local"), database_url=None, redis_url=None, test_data=True)


@pytest.mark.parametrize("port", ["0", "65536", "-1", "5000.0", "¹", "http", " 80"])
def test_an_invalid_port_is_rejected(port: str) -> None:
    with pytest.raises(CannotStart, match="PORT is"):
        Settings.from_env({"PORT": port})


@pytest.mark.parametrize(
    ("name", "value"), [("TEST_DATA", "yes"), ("DATABASE_URL", "host=db"), ("REDIS_URL", "cache:6379")]
)
def test_the_error_names_the_invalid_variable(name: str, value: str) -> None:
    with pytest.raises(CannotStart, match=name):
        Settings.from_env({name: value})


def test_an_invalid_url_is_not_quoted_since_it_has_a_password() -> None:
    with pytest.raises(CannotStart) as raised:
        Settings.from_env({"DATABASE_URL": "postgre://me:secret@db/x"})

    assert "secret" not in str(raised.value)
