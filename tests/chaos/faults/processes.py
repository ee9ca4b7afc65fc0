"""Faults of the services' processes."""

import os
import signal
from contextlib import suppress
from time import monotonic

import redis

from core.queue.keys import QUEUE
from tests.chaos.faults.context import FaultContext
from tests.chaos.faults.registry import fault
from tests.chaos.processes import Service, child_pids
from tests.support.databases import execute

MESSAGES = 50  # of one due time
MESSAGES_TIMEOUT = 12.0  # seconds until the next jump of the clock and its messages
STOP_TIMEOUT = 20.0  # seconds from SIGTERM to the exit
HANG_TIMEOUT = 60.0  # seconds; the hard time limit is less


@fault("kill -9 of the leader", "schedulers")
def kill_leader(context: FaultContext) -> None:
    context.kill(context.system.leader())


@fault("kill -9 of a scheduler", "schedulers")
def kill_scheduler(context: FaultContext) -> None:
    context.kill(context.rng.choice(context.system.schedulers))


@fault("kill -9 of both schedulers", "schedulers")
def kill_schedulers(context: FaultContext) -> None:
    context.kill(*context.system.schedulers)


@fault("kill -9 of the publishing leader", "schedulers")
def kill_publishing_leader(context: FaultContext) -> None:
    leader = context.system.leader()
    count = context.rng.randint(1, MESSAGES - 5)
    with context.system.redis_client() as client:
        wait_for_messages(context, client, count)
    context.kill(leader)


def wait_for_messages(context: FaultContext, client: redis.Redis, count: int) -> None:
    """Wait until so many messages are published after the next jump of the clock."""
    jumps, deadline = context.clock.jumps, monotonic() + MESSAGES_TIMEOUT
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        while count and monotonic() < deadline and not context.stopping.is_set():
            command = monitor.next_command()["command"]  # there are some every second
            if command.startswith(f"LPUSH {QUEUE} ") and context.clock.jumps > jumps:
                count -= 1


@fault("SIGSTOP of the leader for 12 s", "schedulers")
def pause_leader(context: FaultContext) -> None:
    pause(context, context.system.leader(), 12)


@fault("leader's session terminated", "leader's session")
def terminate_leader_session(context: FaultContext) -> None:
    with context.system.owner() as db:
        execute(db, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")


@fault("second leader", "schedulers")
def run_second_leader(context: FaultContext) -> None:
    service = context.system.lockless_scheduler
    service.enabled = True
    try:
        context.wait_between(8, 14)
    finally:
        service.enabled = False
        terminate(context, service)


@fault("kill -9 of a worker", "workers")
def kill_worker(context: FaultContext) -> None:
    context.kill(context.rng.choice(context.system.workers))


@fault("SIGTERM of a worker", "workers")
def terminate_worker(context: FaultContext) -> None:
    worker = context.rng.choice(context.system.workers)
    terminate(context, worker)
    context.wait_for(lambda: not worker.exit_expected)


@fault("SIGSTOP of a worker", "workers")
def pause_worker(context: FaultContext) -> None:
    pause(context, context.rng.choice(context.system.workers), context.rng.uniform(3, 15))


@fault("kill -9 of a pool child", "pool")
def kill_child(context: FaultContext) -> None:
    worker = context.rng.choice(context.system.workers)
    os.kill(random_child(context, worker), signal.SIGKILL)


@fault("task hangs", "pool")
def hang_child(context: FaultContext) -> None:
    worker = context.rng.choice(context.system.workers)
    pid = random_child(context, worker)
    os.kill(pid, signal.SIGSTOP)
    try:
        context.wait_for(lambda: pid not in child_pids(worker.process.pid), HANG_TIMEOUT)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def random_child(context: FaultContext, worker: Service) -> int:
    """Return the id of a child; raises ProcessLookupError if the worker has none yet."""
    pids = child_pids(worker.process.pid)
    if not pids:
        raise ProcessLookupError(f"{worker.name} has no children")
    return context.rng.choice(pids)


def pause(context: FaultContext, service: Service, seconds: float) -> None:
    """Stop a process and its children for some time, like a paused virtual machine."""
    pid = service.process.pid
    service.signal(signal.SIGSTOP)
    try:
        context.wait(seconds)
    finally:
        if service.process.pid == pid:
            service.signal(signal.SIGCONT)


def terminate(context: FaultContext, service: Service) -> None:
    """Send SIGTERM; a process that does not exit in time is a failure, and is killed."""
    if not service.process.alive:
        return
    pid = service.process.pid
    service.terminate()
    deadline = monotonic() + STOP_TIMEOUT
    while service.process.pid == pid and service.process.alive:
        if monotonic() > deadline:
            context.system.record_failure(f"{service.name} has not exited {STOP_TIMEOUT:.0f} s after SIGTERM")
            service.kill()
            return
        context.wait_for(lambda: not service.process.alive, 1)
