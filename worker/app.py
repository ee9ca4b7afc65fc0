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

# From the time limit to the end by force, and from there to the next delivery; seconds.
GRACE = min(30, settings.time_limit)
LAST_WORDS = 8.0  # seconds from SIGTERM on

app = Celery("worker", amqp="worker.transport:AMQP", broker=settings.redis_url, include=["worker.tasks"])
app.conf.update(
    accept_content=["json"],
    broker_channel_error_retry=True,  # what Redis refuses, because it is full, say, it takes later
    broker_connection_max_retries=None,
    broker_connection_retry_on_startup=True,
    broker_transport="worker.transport:Transport",
    broker_transport_options={
        # A killed worker's batch comes back after this; longer than any batch takes, or it would run twice at once.
        "visibility_timeout": settings.time_limit + 2 * GRACE,
        "unacked_restore_interval": min(10, GRACE),
        "health_check_interval": 10,
        # Where a child sends messages on; it has its own idea of when to try again.
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
    task_time_limit=settings.time_limit + GRACE,
    worker_prefetch_multiplier=1,
    worker_soft_shutdown_timeout=2,
)


@celeryd_after_setup.connect  # type: ignore[untyped-decorator]  # Celery has no types
def quieten(**_: Any) -> None:
    """Leave out what Celery 6 is going to change: it would be said at each lost connection."""
    warnings.simplefilter("ignore", CPendingDeprecationWarning)


@worker_ready.connect  # type: ignore[untyped-decorator]  # Celery has no types
def bound_ending(**_: Any) -> None:
    """End the pool's processes by force some time after SIGTERM: Celery would wait for one that is stopped."""
    celery_handler: Any = signal.getsignal(signal.SIGTERM)

    def stop(number: int, frame: FrameType | None) -> None:
        timer = threading.Timer(LAST_WORDS, _kill_pool)
        timer.daemon = True
        timer.start()
        celery_handler(number, frame)

    signal.signal(signal.SIGTERM, stop)


def _kill_pool() -> None:
    for process in billiard.active_children():
        with suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


@worker_process_init.connect  # type: ignore[untyped-decorator]  # Celery has no types
def bound_memory(**_: Any) -> None:
    """Let this process's memory grow by no more than the limit: a huge row is an error of its own, and kills nobody.

    By so much more than what it begins with: numerical libraries set some aside for every core.
    """
    if sys.platform == "linux":  # elsewhere the system does not hold a process to it
        status = Path("/proc/self/status").read_text("ascii")
        [begun] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmData:")]  # KiB
        limit = (begun + settings.memory_limit * 1024) * 1024
        resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))
