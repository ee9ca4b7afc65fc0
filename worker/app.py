"""The Celery application of the workers."""

import os
import resource
import signal
import sys
import threading
import warnings
from contextlib import suppress
from pathlib import Path
from types import FrameType
from typing import Any

import billiard
from celery import Celery
from celery.exceptions import CPendingDeprecationWarning
from celery.signals import celeryd_after_setup, worker_process_init, worker_ready

from core.environment import read
from core.queue.keys import QUEUE, REDIS_TIMEOUT, broker_tls
from worker.settings import Settings

settings = read(Settings.from_env)

GRACE_PERIOD = min(30, settings.time_limit)  # seconds, from the time limit to the kill, and from there to redelivery
SHUTDOWN_TIMEOUT = 8.0  # seconds, from SIGTERM to the kill

app = Celery("worker", amqp="worker.transport:AMQP", broker=settings.redis_url, include=["worker.tasks"])
app.conf.update(
    accept_content=["json"],
    broker_channel_error_retry=True,  # an error of Redis, such as a full memory, is retried
    broker_connection_max_retries=None,
    broker_connection_retry_on_startup=True,
    broker_transport="worker.transport:Transport",
    broker_transport_options={
        # A killed worker's batch is redelivered after this; longer than any batch takes, else two workers would run it.
        "visibility_timeout": settings.time_limit + 2 * GRACE_PERIOD,
        "unacked_restore_interval": min(10, GRACE_PERIOD),
        "health_check_interval": 10,
        # Of the processes of the pool, which send messages: worker.retry retries.
        "max_retries": 1,
        "interval_start": 0,
        "socket_connect_timeout": REDIS_TIMEOUT,
        "socket_timeout": REDIS_TIMEOUT,
        "socket_keepalive": True,
    },
    broker_use_ssl=broker_tls(settings.redis_url),
    task_acks_late=True,
    task_acks_on_timeout=False,
    task_default_queue=QUEUE,
    task_ignore_result=True,
    task_reject_on_worker_lost=True,
    task_time_limit=settings.time_limit + GRACE_PERIOD,
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=2,
)


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]  # Celery has no types
def silence_deprecations(**_: Any) -> None:
    """Suppress warnings about Celery 6, which each lost connection would log."""
    warnings.simplefilter("ignore", CPendingDeprecationWarning)


@worker_ready.connect  # type: ignore[untyped-decorator]  # Celery has no types
def kill_pool_on_timeout(**_: Any) -> None:
    """Kill the processes of the pool some time after SIGTERM: Celery would wait for one that is suspended."""
    celery_handler: Any = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        timer = threading.Timer(SHUTDOWN_TIMEOUT, _kill_pool)
        timer.daemon = True
        timer.start()
        celery_handler(number, frame)

    signal.signal(signal.SIGTERM, stop)


def _kill_pool() -> None:
    for process in billiard.active_children():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def limit_memory(**_: Any) -> None:
    """Limit the growth of this process's memory: a huge label row is an error result, and ends no process.

    The limit is relative to the memory at start: numerical libraries reserve some for every core.
    """
    if sys.platform == "linux":  # other systems do not enforce it
        status = Path("/proc/self/status").read_text("ascii")
        [initial] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:")]  # KiB
        limit = (initial + settings.memory_limit * 1024) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
