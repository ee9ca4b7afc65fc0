"""What the environment says to a worker."""

import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, TypeVar
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn
from redis.connection import parse_url

T = TypeVar("T")


@dataclass(frozen=True)
class Settings:
    """Read once, at start; the README lists the variables."""

    database_url: str
    redis_url: str
    time_limit: int  # seconds that a batch may take
    memory_limit: int  # MiB by which a process may grow
    result_history: int  # results kept for each model
    result_ttl_days: int

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Raises KeyError or ValueError, naming the variable."""
        return cls(
            database_url=database_url(env["DATABASE_URL"]),
            redis_url=redis_url(env["REDIS_URL"]),
            time_limit=positive(env, "TIME_LIMIT", 60),
            memory_limit=positive(env, "MEMORY_LIMIT", 500),
            result_history=positive(env, "RESULT_HISTORY", 1000),
            result_ttl_days=positive(env, "RESULT_TTL", 400),
        )


def read(from_env: Callable[[], T]) -> T:
    """Return the settings, or end the process with a line that names what is wrong."""
    try:
        return from_env()
    except KeyError as error:
        sys.exit(f"{error.args[0]} is not set; the README lists the variables")
    except ValueError as error:
        sys.exit(str(error))


def database_url(url: str) -> str:
    """Return DATABASE_URL; raises ValueError, which does not repeat it: it has a password."""
    try:
        address = parse_dsn(url)
        taken = address.get("host", "") + address.get("dbname", "")
    except psycopg2.ProgrammingError:
        taken = "@"
    if "@" in taken:  # libpq takes what stands behind an @ or a / in the password for an address, and repeats it
        raise ValueError(
            "DATABASE_URL cannot be read; write postgresql://role:password@host:port/database, @ as %40 and / as %2F"
        )
    return url


def redis_url(url: str) -> str:
    """Return REDIS_URL; raises ValueError, which does not repeat it: it may have a password."""
    try:
        taken = parse_url(url).get("host", "") + "".join(urlsplit(url)[2:])  # type: ignore[no-untyped-call]
    except ValueError:
        taken = "@"
    if "@" in taken:  # as above; here ? and # end the host too
        raise ValueError("REDIS_URL cannot be read; write redis://:password@host:port/0, @ as %40 and / as %2F")
    return url


def positive(env: Mapping[str, str], name: str, default: int) -> int:
    """Return a whole number of at least 1; raises ValueError, naming the variable."""
    return at_least(1, env, name, default)


def at_least(least: int, env: Mapping[str, str], name: str, default: int) -> int:
    """Return a whole number that is not smaller; raises ValueError, naming the variable."""
    text = env.get(name, str(default))
    if not text.isdecimal() or int(text) < least:
        raise ValueError(f'{name} is "{text}"; write a whole number of at least {least}')
    return int(text)
