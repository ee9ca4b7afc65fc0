"""What the launcher takes from its environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from devstack.process import CannotStart

SWITCHES = {"true": True, "false": False}
DATABASE_SCHEMES = ("postgresql://", "postgres://")
REDIS_SCHEMES = ("redis://", "rediss://")


@dataclass(frozen=True)
class Settings:
    """Where the stack keeps its data, what it listens on, and what it need not start."""

    port: int
    data_dir: Path
    database_url: str | None  # the owner's
    redis_url: str | None
    test_data: bool

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Read the settings; CannotStart names the variable that is wrong."""
        return cls(
            port=_port(env.get("PORT") or "5000"),
            data_dir=Path(env.get("DATA_DIR") or ".local"),
            database_url=_url("DATABASE_URL", env, DATABASE_SCHEMES),
            redis_url=_url("REDIS_URL", env, REDIS_SCHEMES),
            test_data=_switch("TEST_DATA", env.get("TEST_DATA") or "true"),
        )


def _port(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= 65535):
        raise CannotStart(f'PORT is "{value}"; write a number from 1 to 65535')
    return int(value)


def _url(name: str, env: Mapping[str, str], schemes: tuple[str, ...]) -> str | None:
    url = env.get(name)
    if url and not url.startswith(schemes):
        raise CannotStart(f"{name} does not start with {' or '.join(schemes)}")  # not quoted: it has a password
    return url or None


def _switch(name: str, value: str) -> bool:
    if value not in SWITCHES:
        raise CannotStart(f'{name} is "{value}"; write true or false')
    return SWITCHES[value]
