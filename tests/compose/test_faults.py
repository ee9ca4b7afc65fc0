"""Whatever dies, it comes back by itself, and the next minute is complete."""

import time
from typing import get_args

import pytest

from tests.compose.docker import docker
from tests.compose.stack import SERVICES, Minute, Stack, Victim
from tests.support.databases import wait_for

pytestmark = pytest.mark.timeout(600)


def kill(stack: Stack, victim: Victim, *services: str) -> None:
    """Kill, and wait until all is well again, each service having been started once more."""
    restarts = {service: stack.container(service)["RestartCount"] for service in services}
    stack.kill(victim, *services)
    for service in services:
        wait_for(lambda service=service: stack.container(service)["RestartCount"] == restarts[service] + 1)  # type: ignore[misc]
    stack.wait_until_healthy()


@pytest.mark.parametrize("victim", get_args(Victim))
@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_is_killed_comes_back_by_itself(
    stack: Stack, models: list[str], service: str, victim: Victim
) -> None:
    with stack.nothing_is_lost(models):
        kill(stack, victim, service)


def test_all_that_are_killed_at_once_come_back_by_themselves(stack: Stack, models: list[str]) -> None:
    with stack.nothing_is_lost(models):
        kill(stack, "init", *SERVICES)


def kill_leader_in_the_second_before(stack: Stack) -> tuple[Minute, str] | None:
    """Return the minute and the host of the standby; None if the engine took too long for it."""
    stack.up("--scale", "scheduler=2")
    schedulers = {found["Config"]["Hostname"]: found["Id"] for found in stack.containers("scheduler")}
    leader = stack.sql("SELECT split_part(name, ':', 1) FROM leader")
    [standby] = schedulers.keys() - {leader}
    minute = stack.minute(seconds=4)
    time.sleep(minute.comes_at - 0.9 - time.time())
    docker("kill", schedulers[leader])
    return (minute, standby) if time.time() < minute.comes_at else None


def test_a_standby_fires_the_minute_before_which_the_leader_is_killed(stack: Stack, models: list[str]) -> None:
    killed = wait_for(lambda: kill_leader_in_the_second_before(stack), seconds=120)
    assert killed is not None
    minute, standby = killed

    wait_for(lambda: stack.is_complete(models, minute))
    fired = "SELECT split_part(leader, ':', 1), skipped FROM fires WHERE due_at = to_timestamp({})"
    assert stack.sql(fired.format(minute.due_at.timestamp())) == f"{standby}|0"
    stack.up()
