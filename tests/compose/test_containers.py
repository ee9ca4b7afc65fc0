"""Containers after the first start: health, confinement, passwords, contents and sizes of images."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.compose.docker_cli import docker, is_healthy, run_command, service_of, size_above_base
from tests.support.compose.project import APP_SERVICES, SERVICES, ComposeProject
from tests.support.databases import MODEL, wait_for

pytestmark = pytest.mark.timeout(600)

# Modules of other services and of the tests.
ABSENT_MODULES = {
    "api": ["celery", "sklearn", "devstack", "sql", "tests", "scheduler.beat", "worker.tasks"],
    "scheduler": ["flask", "sklearn", "api", "devstack", "sql", "tests", "worker.tasks"],
    "worker": ["flask", "api", "scheduler", "devstack", "sql", "tests"],
}
FIND_MODULES = """
import importlib.util as util, sys
def is_found(name):
    try: return util.find_spec(name) is not None
    except ModuleNotFoundError: return False
print([name for name in sys.argv[1:] if is_found(name)])
"""
INSERT_LABELS = "INSERT INTO results (model_id, y_true, y_pred) VALUES (gen_random_uuid(), '[1]', '[1]')"


def test_all_services_are_healthy(project: ComposeProject) -> None:
    containers = {service_of(container): container for container in project.containers()}

    assert set(containers) == {*SERVICES, "database"}
    assert all(is_healthy(containers[service]) for service in SERVICES)
    assert containers["database"]["State"]["ExitCode"] == 0
    status, body = project.call("GET", "/status")
    assert (status, body["problems"]) == (200, [])


def test_compose_reports_no_warnings(project: ComposeProject, tmp_path: Path) -> None:
    assert project.shell(["docker compose config --quiet 2>&1"], tmp_path) == ""


def test_client_in_another_container_needs_its_password(project: ComposeProject) -> None:
    def insert_labels(password: str) -> str:
        network = f"--network={project.name}_default"
        url = "postgresql://metrics_client@postgres:5432/metrics"
        return docker(
            "run", "--rm", network, "--env", f"PGPASSWORD={password}", "postgres:17", "psql", url, "-c", INSERT_LABELS
        )

    assert insert_labels("metrics_client") == "INSERT 0 1\n"
    with pytest.raises(AssertionError, match="password authentication failed"):
        insert_labels("another")


def test_images_contain_time_zone_data(project: ComposeProject) -> None:
    """API and scheduler calculate the next due time in a zone with daylight saving time."""
    schedule = {"model_id": MODEL, "cron_expression": "30 12 1 7 *", "timezone": "Europe/Warsaw"}
    _, created = project.call("POST", "/schedule", schedule)
    assert created["next_run_at"].endswith("-07-01T10:30:00Z")

    def find_scheduled() -> Any:
        body = project.call("GET", f"/schedule/{MODEL}")[1]
        return body if body["status"] == "scheduled" else None

    assert wait_for(find_scheduled)["next_run_at"] == created["next_run_at"]


@pytest.mark.parametrize("service", [*SERVICES, "database"])
def test_container_is_confined(project: ComposeProject, service: str) -> None:
    container = project.container(service)
    host = container["HostConfig"]

    assert container["Config"]["User"] not in {"", "root", "0"}
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["RestartPolicy"]["Name"] == ("no" if service == "database" else "unless-stopped")
    published = {key: value for key, value in container["NetworkSettings"]["Ports"].items() if value}
    api_port = {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(project.port)}]}
    assert published == (api_port if service == "api" else {})


def test_redis_is_durable_and_never_evicts(project: ComposeProject) -> None:
    def setting(name: str) -> str:
        return project.compose("exec", "-T", "redis", "redis-cli", "CONFIG", "GET", name).splitlines()[1]

    assert setting("appendonly") == "yes"
    assert setting("maxmemory-policy") == "noeviction"


@pytest.mark.parametrize(("service", "megabytes"), [("api", 60), ("scheduler", 60), ("worker", 350)])
def test_image_adds_little_to_its_base(project: ComposeProject, service: str, megabytes: int) -> None:
    assert size_above_base(f"{project.name}-{service}") <= megabytes * 1_000_000


@pytest.mark.parametrize("service", APP_SERVICES)
def test_image_contains_only_modules_of_its_service(project: ComposeProject, service: str) -> None:
    found = project.compose("exec", "-T", service, "python", "-c", FIND_MODULES, *ABSENT_MODULES[service])

    assert found == "[]\n"


@pytest.mark.parametrize("service", SERVICES)
def test_service_that_hangs_is_unhealthy(project: ComposeProject, service: str) -> None:
    """Runs the health check of the container once; Docker reports unhealthy after three failures."""
    check = project.container(service)["Config"]["Healthcheck"]
    assert check["Test"][0] == "CMD"

    def passes_check() -> bool:
        timeout = str(check["Timeout"] / 1e9)
        command = ["docker", "compose", "exec", "-T", service, "timeout", timeout, *check["Test"][1:]]
        return run_command(command, env=project.environment).returncode == 0

    def send_signal(name: str) -> None:
        project.compose("exec", "-T", service, "sh", "-c", f"kill -{name} $(cat /proc/1/task/1/children)")

    assert passes_check()
    send_signal("STOP")
    try:
        wait_for(lambda: not passes_check(), seconds=30)
    finally:
        send_signal("CONT")
    wait_for(passes_check, seconds=30)
