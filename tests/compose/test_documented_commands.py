"""Commands of README.md and docs/docker.md, run as pasted."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.support.compose.docker_cli import is_healthy, service_of
from tests.support.compose.document_commands import code_blocks
from tests.support.compose.project import ComposeProject
from tests.support.databases import MODEL, wait_for

pytestmark = pytest.mark.timeout(600)

RUN_FIELDS = {"due_at", "calculated_at", "data_timestamp", "unchanged"}  # other tests may have let the model run


def test_rest_commands_of_readme_work_as_pasted(project: ComposeProject, tmp_path: Path) -> None:
    post, saved_schedule, get, documented_result, *_ = code_blocks("README.md", "Use it by REST")

    schedule = json.loads(project.shell(post, tmp_path))
    assert list(schedule) == list(json.loads("".join(saved_schedule)))
    assert (schedule["model_id"], schedule["cron_expression"]) == (MODEL, "*/1 * * * *")

    due_at = project.start_minute(in_seconds=1).due_at

    def find_result() -> Any:
        result = json.loads(project.shell(get, tmp_path))
        return result if result.get("due_at") and datetime.fromisoformat(result["due_at"]) >= due_at else None

    result, expected = wait_for(find_result), json.loads("".join(documented_result))
    assert {name: result[name] for name in result.keys() - RUN_FIELDS} == {
        name: expected[name] for name in expected.keys() - RUN_FIELDS
    }


def test_sql_commands_of_readme_work_as_pasted(project: ComposeProject) -> None:
    [statements] = code_blocks("README.md", "Use it by SQL")

    output = project.compose("exec", "-T", "postgres", "psql", "--set=ON_ERROR_STOP=1", text="\n".join(statements))

    for line in ("INSERT 0 1", "UPDATE 1", f" {MODEL} | paused ", "DELETE 1"):
        assert line in output


def test_psql_commands_of_documents_work_as_pasted(project: ComposeProject, tmp_path: Path) -> None:
    interactive, one_statement = code_blocks("docs/docker.md", "SQL")[0]

    assert one_statement.startswith(interactive.replace("exec", "exec -T"))
    assert " next_run_at" in project.shell([one_statement], tmp_path)


def test_scaling_commands_of_documents_work_as_pasted(project: ComposeProject, tmp_path: Path) -> None:
    [commands] = code_blocks("docs/docker.md", "More workers, a standby")

    project.shell(commands, tmp_path)

    containers = project.containers("worker", "scheduler")
    assert sorted(map(service_of, containers)) == ["scheduler"] * 2 + ["worker"] * 4
    assert all(map(is_healthy, containers))
    project.up()
    assert len(project.containers("worker", "scheduler")) == 2
