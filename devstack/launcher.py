"""Starts PostgreSQL, Redis, worker, scheduler and API, keeps them running, stops them in order."""

import fcntl
import logging
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path
from time import sleep

from devstack import postgres, redis
from devstack.cluster import prepare
from devstack.ports import HOST, free_port, why_not
from devstack.private_files import kept_passwords
from devstack.process import CannotStart
from devstack.services import services
from devstack.settings import Settings
from devstack.stack import Stack, Stopped
from devstack.stack_env import welcome, write_stack_env
from devstack.terminal import ctrl_c_to_us_alone, show_logs
from sql.apply import PASSWORD_VARIABLES, ApplyError, apply

log = logging.getLogger("stack")

READY_SECONDS = 60.0
TEND_INTERVAL = 0.1  # seconds
QUIET = {"log_checkpoints": "off"}


def main() -> int | str:
    """Run until a signal says stop; returns 0, or one line on what was in the way."""
    show_logs()
    try:
        settings = Settings.from_env()
        with only_one(settings.data_dir), ctrl_c_to_us_alone():
            if reason := why_not(settings.port):
                raise CannotStart(f"port {settings.port} is not free ({reason}): set PORT to another one")  # noqa: TRY301
            run(settings)
    except CannotStart as error:
        return f"cannot start: {error}"
    except Stopped:
        log.info("stopped")
    return 0


@contextmanager
def only_one(data_dir: Path) -> Iterator[None]:
    """Hold the data folder; CannotStart if another launcher does."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with (data_dir / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise CannotStart(f"{data_dir} is in use by a stack that runs already: stop it, or set DATA_DIR") from None


def run(settings: Settings) -> None:
    """Start everything and keep it running; ends by Stopped or CannotStart, and then nothing runs."""
    stack_env = settings.data_dir / "stack.env"
    stack_env.unlink(missing_ok=True)  # a launcher that was killed has left it
    with Stack() as stack:
        try:
            urls = start(stack, settings)
            write_stack_env(stack_env, urls, stack.pids())
            log.info("%s", welcome(settings.port, stack_env))
            while True:
                sleep(TEND_INTERVAL)
                if stack.tend():
                    write_stack_env(stack_env, urls, stack.pids())
        finally:
            stack_env.unlink(missing_ok=True)


def start(stack: Stack, settings: Settings) -> dict[str, str]:
    """Start what is not there already, each after what it needs; returns the URLs once the API is ready."""
    database_url = settings.database_url or start_postgres(stack, settings.data_dir)
    redis_url = settings.redis_url or start_redis(stack, settings.data_dir)
    passwords = kept_passwords(settings.data_dir / "passwords.json", PASSWORD_VARIABLES)
    try:
        apply(database_url, passwords=passwords, test_data=settings.test_data)
    except ApplyError as error:
        raise CannotStart(str(error)) from error
    for process in services(database_url, redis_url, passwords, settings.port):
        stack.tend()
        stack.add(process)
    api_url = f"http://{HOST}:{settings.port}"
    if not stack.wait_until(lambda: is_ready(f"{api_url}/readyz"), seconds=READY_SECONDS):
        raise CannotStart(f"the API was not ready within {READY_SECONDS:.0f} s")
    return {"API_URL": api_url, "DATABASE_URL": database_url, "REDIS_URL": redis_url}


def start_postgres(stack: Stack, data_dir: Path) -> str:
    """Start a PostgreSQL of our own; returns its URL when it answers."""
    cluster, port = prepare(data_dir), free_port()
    # Kept running from the first moment: while the server of a launcher that was
    # killed is still ending, ours finds the folder locked and must be started again.
    stack.add(cluster.server(port, QUIET))
    if not stack.wait_until(lambda: postgres.answers(cluster.url(port)), seconds=postgres.READY_SECONDS):
        raise CannotStart("PostgreSQL does not answer: see its lines above")
    return cluster.url(port)


def start_redis(stack: Stack, data_dir: Path) -> str:
    """Start a Redis of our own; returns its URL when it answers."""
    port = free_port()
    stack.add(redis.find_engine().server(port, data_dir))
    if not stack.wait_until(lambda: redis.answers(redis.url(port)), seconds=redis.READY_SECONDS):
        raise CannotStart("Redis does not answer: see its lines above")
    return redis.url(port)


def is_ready(url: str) -> bool:
    """Whether the URL answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as answer:  # noqa: S310  # our own API
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False
