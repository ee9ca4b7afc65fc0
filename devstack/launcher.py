"""Starts PostgreSQL, Redis, worker, scheduler and API, keeps them running, and stops them in order."""

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
from devstack.ports import HOST, free_port, unavailable_reason
from devstack.private_files import load_passwords
from devstack.process import CannotStart
from devstack.services import services
from devstack.settings import Settings
from devstack.stack import Stack, StopRequested
from devstack.stack_env import welcome_text, write_stack_env
from devstack.terminal import configure_logging, foreground_process_group
from sql.apply import PASSWORD_VARIABLES, ApplyError, apply

log = logging.getLogger("stack")

API_START_TIMEOUT = 60.0  # seconds
POLL_INTERVAL = 0.1  # seconds
POSTGRES_SETTINGS = {"log_checkpoints": "off"}  # they would fill the terminal


def main() -> int | str:
    """Run the stack until a signal stops it; returns 0, or one line with the reason why it cannot start."""
    configure_logging()
    try:
        settings = Settings.from_env()
        with locked(settings.data_dir), foreground_process_group():
            if reason := unavailable_reason(settings.port):
                raise CannotStart(f"port {settings.port} is not free ({reason}): set PORT to another one")  # noqa: TRY301
            run(settings)
    except CannotStart as error:
        return f"cannot start: {error}"
    except StopRequested:
        log.info("all processes stopped")
    return 0


@contextmanager
def locked(data_dir: Path) -> Iterator[None]:
    """Hold the lock of the data folder; raises CannotStart if another launcher holds it."""
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
        with (data_dir / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            yield
    except BlockingIOError:
        raise CannotStart(f"{data_dir} is in use by a stack that is running: stop it, or set DATA_DIR") from None


def run(settings: Settings) -> None:
    """Start and supervise everything; ends by StopRequested or CannotStart, when all processes are stopped."""
    stack_env = settings.data_dir / "stack.env"
    stack_env.unlink(missing_ok=True)  # left by a launcher that was killed
    with Stack() as stack:
        try:
            urls = start(stack, settings)
            write_stack_env(stack_env, urls, stack.pids())
            log.info("%s", welcome_text(settings.port, stack_env))
            while True:
                sleep(POLL_INTERVAL)
                if stack.poll():
                    write_stack_env(stack_env, urls, stack.pids())
        finally:
            stack_env.unlink(missing_ok=True)


def start(stack: Stack, settings: Settings) -> dict[str, str]:
    """Start the servers without a URL, and the services; returns the URLs when the API is ready."""
    database_url = settings.database_url or start_postgres(stack, settings.data_dir)
    redis_url = settings.redis_url or start_redis(stack, settings.data_dir)
    passwords = load_passwords(settings.data_dir / "passwords.json", PASSWORD_VARIABLES)
    try:
        apply(database_url, passwords=passwords, test_data=settings.test_data)
    except ApplyError as error:
        raise CannotStart(str(error)) from error
    for process in services(database_url, redis_url, passwords, settings.port):
        stack.poll()
        stack.add(process)
    api_url = f"http://{HOST}:{settings.port}"
    if not stack.wait_until(lambda: is_ready(f"{api_url}/readyz"), seconds=API_START_TIMEOUT):
        raise CannotStart(f"the API was not ready within {API_START_TIMEOUT:.0f} s")
    return {"API_URL": api_url, "DATABASE_URL": database_url, "REDIS_URL": redis_url}


def start_postgres(stack: Stack, data_dir: Path) -> str:
    """Start a PostgreSQL server; returns its URL when it accepts connections."""
    cluster, port = prepare(data_dir), free_port()
    # Supervised from the start: while the server of a killed launcher shuts down, the data folder is locked, and this
    # server exits and is restarted.
    stack.add(cluster.server(port, POSTGRES_SETTINGS))
    if not stack.wait_until(lambda: postgres.accepts_connections(cluster.url(port)), seconds=postgres.START_TIMEOUT):
        raise CannotStart("PostgreSQL does not accept connections: see its log lines above")
    return cluster.url(port)


def start_redis(stack: Stack, data_dir: Path) -> str:
    """Start a Redis server; returns its URL when it is ready."""
    port = free_port()
    stack.add(redis.find_engine().server(port, data_dir))
    if not stack.wait_until(lambda: redis.is_ready(redis.url(port)), seconds=redis.START_TIMEOUT):
        raise CannotStart("Redis is not ready: see its log lines above")
    return redis.url(port)


def is_ready(url: str) -> bool:
    """Return True if the response is 200."""
    try:
        with urllib.request.urlopen(url, timeout=2) as response:  # noqa: S310  # our own API
            return bool(response.status == HTTPStatus.OK)
    except OSError:
        return False
