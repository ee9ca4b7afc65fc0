"""What a new user sees: it starts, it is well, and the README's lines work as pasted."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.compose.docker import docker, finished, is_healthy, service_of, size_above_base
from tests.compose.documents import blocks
from tests.compose.stack import OURS, SERVICES, Stack
from tests.support.databases import MODEL, wait_for

pytestmark = pytest.mark.timeout(600)

# What would be there if an image had more than its service needs.
ABSENT = {
    "api": ["celery", "sklearn", "local", "sql", "tests", "scheduler.beat", "worker.tasks"],
    "scheduler": ["flask", "sklearn", "api", "local", "sql", "tests", "worker.tasks"],
    "worker": ["flask", "api", "scheduler", "local", "sql", "tests"],
}


def test_everything_is_well(stack: Stack) -> None:
    containers = {service_of(container): container for container in stack.containers()}

    assert set(containers) == {*SERVICES, "database"}
    assert all(is_healthy(containers[service]) for service in SERVICES)
    assert containers["database"]["State"]["ExitCode"] == 0
    status, answer = stack.call("GET", "/status")
    assert (status, answer["problems"]) == (200, [])


def test_compose_has_nothing_to_complain_of(stack: Stack, tmp_path: Path) -> None:
    assert stack.shell(["docker compose config --quiet 2>&1"], tmp_path) == ""


def test_the_lines_of_the_readme_for_rest_work_as_pasted(stack: Stack, tmp_path: Path) -> None:
    post, saved, get, result, *_ = blocks("README.md", "Use it by REST")

    answer = json.loads(stack.shell(post, tmp_path))
    assert list(answer) == list(json.loads("".join(saved)))
    assert (answer["model_id"], answer["cron_expression"]) == (MODEL, "*/1 * * * *")

    due_at = stack.minute(seconds=1).due_at

    def calculated() -> Any:
        found = json.loads(stack.shell(get, tmp_path))
        return found if found.get("due_at") and datetime.fromisoformat(found["due_at"]) >= due_at else None

    found, promised = wait_for(calculated), json.loads("".join(result))
    of_the_run = {"due_at", "calculated_at", "data_timestamp", "unchanged"}  # another test may have let it run before
    assert {name: found[name] for name in found.keys() - of_the_run} == {
        name: promised[name] for name in promised.keys() - of_the_run
    }


def test_the_lines_of_the_readme_for_sql_work_as_pasted(stack: Stack) -> None:
    [statements] = blocks("README.md", "Use it by SQL")

    said = stack.compose("exec", "-T", "postgres", "psql", "--set=ON_ERROR_STOP=1", text="\n".join(statements))

    for line in ("INSERT 0 1", "UPDATE 1", f" {MODEL} | paused ", "DELETE 1"):
        assert line in said


def test_the_lines_of_the_documents_for_sql_work_as_pasted(stack: Stack, tmp_path: Path) -> None:
    interactive, one_statement = blocks("docs/docker.md", "SQL")[0]

    assert one_statement.startswith(interactive.replace("exec", "exec -T"))
    assert " next_run_at" in stack.shell([one_statement], tmp_path)


def test_a_program_in_a_container_of_its_own_is_let_in_by_its_password(stack: Stack) -> None:
    insert = "INSERT INTO results (model_id, y_true, y_pred) VALUES (gen_random_uuid(), '[1]', '[1]')"

    def log_labels(password: str) -> str:
        network = f"--network={stack.project}_default"
        url = "postgresql://metrics_client@postgres:5432/metrics"
        return docker(
            "run", "--rm", network, "--env", f"PGPASSWORD={password}", "postgres:17", "psql", url, "-c", insert
        )

    assert log_labels("metrics_client") == "INSERT 0 1\n"
    with pytest.raises(AssertionError, match="password authentication failed"):
        log_labels("another")


def test_a_schedule_in_a_zone_with_daylight_saving_has_its_next_run(stack: Stack) -> None:
    """The time-zone data are inside the images of API and scheduler."""
    schedule = {"model_id": MODEL, "cron_expression": "30 12 1 7 *", "timezone": "Europe/Warsaw"}
    _, answer = stack.call("POST", "/schedule", schedule)
    assert answer["next_run_at"].endswith("-07-01T10:30:00Z")

    def settled() -> Any:
        found = stack.call("GET", f"/schedule/{MODEL}")[1]
        return found if found["status"] == "scheduled" else None

    assert wait_for(settled)["next_run_at"] == answer["next_run_at"]


@pytest.mark.parametrize("service", [*SERVICES, "database"])
def test_a_service_is_confined(stack: Stack, service: str) -> None:
    container = stack.container(service)
    host = container["HostConfig"]

    assert container["Config"]["User"] not in {"", "root", "0"}
    assert host["ReadonlyRootfs"]
    assert host["CapDrop"] == ["ALL"]
    assert not host["CapAdd"]
    assert host["SecurityOpt"] == ["no-new-privileges:true"]
    assert host["Memory"] > 0
    assert host["RestartPolicy"]["Name"] == ("no" if service == "database" else "unless-stopped")
    published = {key: value for key, value in container["NetworkSettings"]["Ports"].items() if value}
    of_the_api = {"5000/tcp": [{"HostIp": "127.0.0.1", "HostPort": str(stack.port)}]}
    assert published == (of_the_api if service == "api" else {})


def test_redis_keeps_what_it_has(stack: Stack) -> None:
    def setting(name: str) -> str:
        return stack.compose("exec", "-T", "redis", "redis-cli", "CONFIG", "GET", name).splitlines()[1]

    assert setting("appendonly") == "yes"
    assert setting("maxmemory-policy") == "noeviction"


@pytest.mark.parametrize(("service", "megabytes"), [("api", 60), ("scheduler", 60), ("worker", 350)])
def test_an_image_adds_little_to_its_base(stack: Stack, service: str, megabytes: int) -> None:
    assert size_above_base(f"{stack.project}-{service}") <= megabytes * 1_000_000


@pytest.mark.parametrize("service", OURS)
def test_an_image_has_no_more_than_its_service_needs(stack: Stack, service: str) -> None:
    find = (
        "import importlib.util as util, sys\n"
        "def found(name):\n"
        "    try: return util.find_spec(name)\n"
        "    except ModuleNotFoundError: return None\n"
        "print([name for name in sys.argv[1:] if found(name)])"
    )

    assert stack.compose("exec", "-T", service, "python", "-c", find, *ABSENT[service]) == "[]\n"


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_that_hangs_is_unhealthy(stack: Stack, service: str) -> None:
    """Asked by what Docker asks every few seconds; it takes three bad answers for one."""
    check = stack.container(service)["Config"]["Healthcheck"]
    assert check["Test"][0] == "CMD"

    def is_well() -> bool:
        patience = str(check["Timeout"] / 1e9)
        command = ["docker", "compose", "exec", "-T", service, "timeout", patience, *check["Test"][1:]]
        return finished(command, env=stack.environment).returncode == 0

    def signal(name: str) -> None:
        stack.compose("exec", "-T", service, "sh", "-c", f"kill -{name} $(cat /proc/1/task/1/children)")

    assert is_well()
    signal("STOP")
    try:
        wait_for(lambda: not is_well(), seconds=30)
    finally:
        signal("CONT")
    wait_for(is_well, seconds=30)


def test_it_scales_as_the_documents_say(stack: Stack, tmp_path: Path) -> None:
    [commands] = blocks("docs/docker.md", "More workers, a standby")

    stack.shell(commands, tmp_path)

    containers = stack.containers("worker", "scheduler")
    assert sorted(map(service_of, containers)) == ["scheduler"] * 2 + ["worker"] * 4
    assert all(map(is_healthy, containers))
    stack.up()
    assert len(stack.containers("worker", "scheduler")) == 2
