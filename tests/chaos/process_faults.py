"""What can happen to our own processes."""

import os
import signal
from contextlib import suppress
from time import monotonic

import redis

from core.queue.keys import QUEUE
from tests.chaos.processes import Service, children_of
from tests.chaos.world import World, fault
from tests.support.databases import run

BATCHES = 50  # messages of one moment
PATIENCE = 12.0  # seconds for the next step and its messages
STOP_PATIENCE = 20.0  # seconds that a process may take to end
HANGING = 60.0  # seconds; the hard time limit comes sooner


@fault("kill -9 of the leader", "schedulers")
def kill_leader(world: World) -> None:
    world.kill(world.stack.leader())


@fault("kill -9 of a scheduler", "schedulers")
def kill_scheduler(world: World) -> None:
    world.kill(world.rng.choice(world.stack.schedulers))


@fault("kill -9 of both schedulers", "schedulers")
def kill_schedulers(world: World) -> None:
    world.kill(*world.stack.schedulers)


@fault("kill -9 of the leader while it sends", "schedulers")
def kill_sending_leader(world: World) -> None:
    leader = world.stack.leader()
    count = world.rng.randint(1, BATCHES - 5)
    with world.stack.client() as client:
        wait_for_messages(world, client, count)
    world.kill(leader)


def wait_for_messages(world: World, client: redis.Redis, count: int) -> None:
    """Return when so many messages were sent after the clock's next step."""
    step, deadline = world.clock.steps, monotonic() + PATIENCE
    with client.monitor() as monitor:  # type: ignore[no-untyped-call]
        while count and monotonic() < deadline and not world.healing.is_set():
            command = monitor.next_command()["command"]  # some come every second
            if command.startswith(f"LPUSH {QUEUE} ") and world.clock.steps > step:
                count -= 1


@fault("leader stopped for 12 s", "schedulers")
def stop_leader(world: World) -> None:
    stop(world, world.stack.leader(), 12)


@fault("leader's session ended", "leader's session")
def end_session(world: World) -> None:
    with world.stack.owner() as db:
        run(db, "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' AND granted")


@fault("second leader", "schedulers")
def second_leader(world: World) -> None:
    service = world.stack.second_leader
    service.wanted = True
    try:
        world.between(8, 14)
    finally:
        service.wanted = False
        end(world, service)


@fault("kill -9 of a worker", "workers")
def kill_worker(world: World) -> None:
    world.kill(world.rng.choice(world.stack.workers))


@fault("SIGTERM of a worker", "workers")
def terminate_worker(world: World) -> None:
    worker = world.rng.choice(world.stack.workers)
    end(world, worker)
    world.wait_for(lambda: not worker.told_to_end)


@fault("worker stopped for some seconds", "workers")
def stop_worker(world: World) -> None:
    stop(world, world.rng.choice(world.stack.workers), world.rng.uniform(3, 15))


@fault("kill -9 of a pool child", "pool")
def kill_child(world: World) -> None:
    worker = world.rng.choice(world.stack.workers)
    os.kill(any_child(world, worker), signal.SIGKILL)


@fault("a task hangs", "pool")
def hang_child(world: World) -> None:
    worker = world.rng.choice(world.stack.workers)
    pid = any_child(world, worker)
    os.kill(pid, signal.SIGSTOP)
    try:
        world.wait_for(lambda: pid not in children_of(worker.process.pid), HANGING)
    finally:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def any_child(world: World, worker: Service) -> int:
    """Return the id of a child; raises ProcessLookupError where the worker has none yet."""
    children = children_of(worker.process.pid)
    if not children:
        raise ProcessLookupError(f"{worker.name} has no children")
    return world.rng.choice(children)


def stop(world: World, service: Service, seconds: float) -> None:
    """Stop a process and its children for a while, as a paused virtual machine is."""
    pid = service.process.pid
    service.signal(signal.SIGSTOP)
    try:
        world.pause(seconds)
    finally:
        if service.process.pid == pid:
            service.signal(signal.SIGCONT)


def end(world: World, service: Service) -> None:
    """End a process as an operator does; one that does not end by that is noted, and killed."""
    if not service.process.alive:
        return
    pid = service.process.pid
    service.terminate()
    deadline = monotonic() + STOP_PATIENCE
    while service.process.pid == pid and service.process.alive:
        if monotonic() > deadline:
            world.stack.note(f"{service.name} does not end by SIGTERM within {STOP_PATIENCE:.0f} s")
            service.kill()
            return
        world.wait_for(lambda: not service.process.alive, 1)
