"""Killed processes: they are restarted, and the next minute is complete."""

import time
from typing import get_args

import pytest

from tests.support.compose.docker_cli import docker
from tests.support.compose.project import SERVICES, ComposeProject, Minute, Victim
from tests.support.databases import wait_for

pytestmark = pytest.mark.timeout(600)

LAST_FIRE = "SELECT split_part(leader, ':', 1), skipped FROM fires WHERE due_at = to_timestamp({})"


def kill_and_wait_for_restart(project: ComposeProject, victim: Victim, *services: str) -> None:
    """Kill services, and wait until each is restarted once and all are healthy."""
    restarts = {service: project.container(service)["RestartCount"] for service in services}
    project.kill(victim, *services)
    for service in services:
        wait_for(lambda service=service: project.container(service)["RestartCount"] == restarts[service] + 1)  # type: ignore[misc]
    project.wait_until_healthy()


@pytest.mark.parametrize("victim", get_args(Victim))
@pytest.mark.parametrize("service", SERVICES)
def test_killed_service_is_restarted(project: ComposeProject, models: list[str], service: str, victim: Victim) -> None:
    with project.nothing_lost(models):
        kill_and_wait_for_restart(project, victim, service)


def test_services_killed_at_the_same_time_are_restarted(project: ComposeProject, models: list[str]) -> None:
    with project.nothing_lost(models):
        kill_and_wait_for_restart(project, "init", *SERVICES)


def kill_leader_before_minute(project: ComposeProject) -> tuple[Minute, str] | None:
    """Kill the leader within the second before a minute.

    Returns the minute and the host name of the standby; None if Docker was too slow.
    """
    project.up("--scale", "scheduler=2")
    schedulers = {container["Config"]["Hostname"]: container["Id"] for container in project.containers("scheduler")}
    leader = project.sql("SELECT split_part(name, ':', 1) FROM leader")
    [standby] = schedulers.keys() - {leader}
    minute = project.start_minute(in_seconds=4)
    time.sleep(minute.starts_at - 0.9 - time.time())
    docker("kill", schedulers[leader])
    return (minute, standby) if time.time() < minute.starts_at else None


def test_standby_fires_minute_before_which_leader_is_killed(project: ComposeProject, models: list[str]) -> None:
    killed = wait_for(lambda: kill_leader_before_minute(project), seconds=120)
    assert killed is not None
    minute, standby = killed

    wait_for(lambda: project.is_complete(models, minute))
    assert project.sql(LAST_FIRE.format(minute.due_at.timestamp())) == f"{standby}|0"
    project.up()
