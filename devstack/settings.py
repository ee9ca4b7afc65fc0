"""Configuration of the launcher, from environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from core.environment import boolean
from devstack.process import CannotStart

DATABASE_SCHEMES = ("postgresql://", "postgres://")
REDIS_SCHEMES = ("redis://", "rediss://")


@dataclass(frozen=True)
class Settings:
    """Settings of the launcher; servers whose URL is set are not started."""

    port: int  # of the API
    data_dir: Path
    database_url: str | None  # of the database's owner
    redis_url: str | None
    test_data: bool

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Return the settings; raises CannotStart, naming the invalid variable."""
        try:
            return cls(
                port=_port(env.get("PORT") or "5000"),
                data_dir=Path(env.get("DATA_DIR") or ".local"),
                database_url=_url("DATABASE_URL", env, DATABASE_SCHEMES),
                redis_url=_url("REDIS_URL", env, REDIS_SCHEMES),
                test_data=boolean(env, "TEST_DATA", default=True),
            )
        except ValueError as error:
            raise CannotStart(str(error)) from error


def _port(value: str) -> int:
    if not (value.isascii() and value.isdecimal() and 1 <= int(value) <= 65535):
        raise ValueError(f'PORT is "{value}"; write a number from 1 to 65535')
    return int(value)


def _url(name: str, env: Mapping[str, str], schemes: tuple[str, ...]) -> str | None:
    url = env.get(name)
    if url and not url.startswith(schemes):
        raise ValueError(f"{name} does not start with {' or '.join(schemes)}")  # not quoted: it has a password
    return url or None
