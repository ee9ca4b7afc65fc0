"""Environment variables: values, and errors that name the variable."""

import sys
from collections.abc import Callable, Mapping
from typing import TypeVar
from urllib.parse import urlsplit

import psycopg2
from psycopg2.extensions import parse_dsn
from redis.connection import parse_url

T = TypeVar("T")

BOOLEANS = {"true": True, "false": False}


def read(from_env: Callable[[], T]) -> T:
    """Return the settings, or end the process with a line that names the variable and what is wrong."""
    try:
        return from_env()
    except KeyError as error:
        sys.exit(f"{error.args[0]} is not set; the README lists the variables")
    except ValueError as error:
        sys.exit(str(error))


def database_url(url: str) -> str:
    """Return DATABASE_URL; raises ValueError, without the URL, which holds a password."""
    try:
        address = parse_dsn(url)
        names = address.get("host", "") + address.get("dbname", "")
    except psycopg2.ProgrammingError:
        names = "@"
    if "@" in names:  # libpq takes the rest of a password after @ or / for an address, and repeats it in its errors
        raise ValueError(
            "DATABASE_URL cannot be read; write postgresql://role:password@host:port/database, @ as %40 and / as %2F"
        )
    return url


def redis_url(url: str) -> str:
    """Return REDIS_URL; raises ValueError, without the URL, which may hold a password."""
    try:
        names = parse_url(url).get("host", "") + "".join(urlsplit(url)[2:])  # type: ignore[no-untyped-call]
    except ValueError:
        names = "@"
    if "@" in names:  # as above; in this URL ? and # end the host too
        raise ValueError("REDIS_URL cannot be read; write redis://:password@host:port/0, @ as %40 and / as %2F")
    return url


def positive(env: Mapping[str, str], name: str, default: int) -> int:
    """Return a variable as a whole number of at least 1; raises ValueError, naming the variable."""
    return at_least(1, env, name, default)


def at_least(minimum: int, env: Mapping[str, str], name: str, default: int) -> int:
    """Return a variable as a whole number of at least minimum; raises ValueError, naming the variable."""
    text = env.get(name, str(default))
    if not text.isdecimal() or int(text) < minimum:
        raise ValueError(f'{name} is "{text}"; write a whole number of at least {minimum}')
    return int(text)


def boolean(env: Mapping[str, str], name: str, *, default: bool) -> bool:
    """Return a variable that is true or false; raises ValueError, naming the variable."""
    text = env.get(name) or str(default).lower()
    if text not in BOOLEANS:
        raise ValueError(f'{name} is "{text}"; write true or false')
    return BOOLEANS[text]
