"""Environment variables: reading, and errors that name the variable."""

import sys
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn
from redis.connection import parse_url

T = TypeVar("T")


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
