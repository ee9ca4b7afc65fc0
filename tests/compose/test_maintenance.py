"""Stop, restart, upgrade, backup and restore by the commands of docs/docker.md: nothing is lost."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from devstack.process import ROOT
from tests.support.compose.docker_cli import service_of
from tests.support.compose.document_commands import code_blocks
from tests.support.compose.project import APP_SERVICES, SERVICES, ComposeProject
from tests.support.databases import wait_for

pytestmark = pytest.mark.timeout(600)

# Twelve messages for two processes: some are left at the stop, even if a batch takes less than a second.
LARGE_MODELS = 1200
LARGE_NAME = "large"  # of their schedules
INSERT_LARGE_LABELS = """
    WITH labels AS MATERIALIZED (SELECT json_agg(n % 10) AS json FROM generate_series(1, 100000) AS n)
    INSERT INTO results (model_id, y_true, y_pred)
        SELECT gen_random_uuid(), labels.json, labels.json FROM labels, generate_series(1, {count})
        RETURNING model_id
"""
INSERT_LARGE_SCHEDULES = """
    INSERT INTO metrics_executions (model_id, name, cron_expression)
    SELECT unnest('{{{ids}}}'::uuid[]), '{name}', '* * * * *'
"""
DELETE_LARGE = """
    DELETE FROM results WHERE model_id = ANY ('{{{ids}}}');
    DELETE FROM metrics_executions WHERE name = '{name}'
"""
# New images with the same code.
NEXT_VERSION = """
x-next: &next { build: { labels: { version: next } } }
services: { database: *next, api: *next, scheduler: *next, worker: *next }
"""
# A client that does not commit, and the lock of VACUUM.
OPEN_TRANSACTION = """
BEGIN;
UPDATE metrics_executions SET name = 'busy' WHERE model_id = '{model_id}';
LOCK TABLE metrics_executions, results, fires, leader IN SHARE UPDATE EXCLUSIVE MODE;
INSERT INTO results (model_id, y_true, y_pred) VALUES ('{model_id}', '[1]', '[0]');
SELECT 'busy';
"""
IS_WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'metrics_executions'::regclass AND NOT granted)"
# As a version before the view, and one before the constraint.
WITHOUT_VIEW = "DROP VIEW schedule_status; DELETE FROM schema_migrations WHERE name = 'repeatable/060_views.sql'"
WITHOUT_NAME_CHECK = """
    ALTER TABLE metrics_executions DROP CONSTRAINT metrics_executions_name_check;
    DELETE FROM schema_migrations
    WHERE name IN ('migrations/0004_metrics_executions_name_check.sql', 'migrations/0005_validate_checks.sql')
"""


@contextmanager
def large_models(project: ComposeProject) -> Iterator[set[str]]:
    """Models with many labels, without schedules; their rows are deleted after the block."""
    ids = set(project.sql(INSERT_LARGE_LABELS.format(count=LARGE_MODELS)).split())
    try:
        yield ids
    finally:
        project.sql(DELETE_LARGE.format(ids=",".join(ids), name=LARGE_NAME))


def test_stop_during_calculation_loses_nothing(project: ComposeProject, tmp_path: Path) -> None:
    stop, _ = code_blocks("docs/docker.md", "Stop")[0]
    with large_models(project) as large:
        # Scheduled after the clock is set: a minute skipped by it would be made up, and the results of this one
        # unchanged.
        minute = project.start_minute(in_seconds=10)
        project.sql(INSERT_LARGE_SCHEDULES.format(ids=",".join(large), name=LARGE_NAME))
        member_of_minute = f" [{minute.due_at.timestamp():.0f}000,"

        def calculated_models() -> list[str]:
            """Return the large models with a result of the minute, each once per result."""
            keys = [result.split()[0] for result in project.results() if member_of_minute in result]
            return [model_id for key in keys if (model_id := key.removeprefix("metrics:results:")) in large]

        wait_for(calculated_models)
        project.shell([stop], tmp_path)
        exit_codes = {service_of(container): container["State"]["ExitCode"] for container in project.containers()}
        project.up("redis")
        before = len(calculated_models())
        project.up()

        assert exit_codes == dict.fromkeys((*SERVICES, "database"), 0)  # 137: SIGTERM was not handled, or not in time
        assert 0 < before < LARGE_MODELS
        wait_for(lambda: len(calculated_models()) >= LARGE_MODELS, seconds=180)
        assert set(calculated_models()) == large
        assert len(calculated_models()) == LARGE_MODELS


def test_down_and_up_keep_schedules_and_results(project: ComposeProject, models: list[str], tmp_path: Path) -> None:
    """New passwords in .env are used from the next start on."""
    _, down = code_blocks("docs/docker.md", "Stop")[0]
    names = ("METRICS_API_PASSWORD", "METRICS_SCHEDULER_PASSWORD", "METRICS_WORKER_PASSWORD")
    changed = replace(project, variables={**project.variables, **{name: f"new {name} #'$" for name in names}})

    with project.nothing_lost(models):
        project.shell([down], tmp_path)
        assert project.containers() == []
        changed.up()
    project.up()


@contextmanager
def open_transaction(project: ComposeProject, model_id: str) -> Iterator[None]:
    """Keep a transaction open within the block, and roll it back."""
    command = ["docker", "compose", "exec", "-T", "postgres", "psql", "--tuples-only", "--no-align", "--quiet"]
    with subprocess.Popen(
        command, cwd=ROOT, env=project.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(OPEN_TRANSACTION.format(model_id=model_id))
        client.stdin.flush()
        assert client.stdout.readline() == "busy\n"
        yield
        assert client.poll() is None
        client.stdin.close()  # psql exits, and PostgreSQL rolls back


def test_upgrade_does_not_wait_for_open_transaction(project: ComposeProject, models: list[str], tmp_path: Path) -> None:
    (pull, *upgrade), _ = code_blocks("docs/docker.md", "Upgrade")
    assert pull == "git pull"
    is_upgraded = "SELECT to_regclass('schedule_status') IS NOT NULL"
    project.sql(WITHOUT_VIEW)

    with project.nothing_lost(models), open_transaction(project, models[0]):
        project.shell(upgrade, tmp_path)
        assert project.sql(is_upgraded) == "t"


def test_upgrade_that_has_to_wait_runs_beside_the_old_version(
    project: ComposeProject, models: list[str], tmp_path: Path
) -> None:
    """With new images, and a change of a table in which an open transaction has written."""
    _, (*upgrade_database, up) = code_blocks("docs/docker.md", "Upgrade")
    (tmp_path / "next.yaml").write_text(NEXT_VERSION)
    files = os.pathsep.join((project.environment["COMPOSE_FILE"], str(tmp_path / "next.yaml")))
    upgraded = replace(project, variables={**project.variables, "COMPOSE_FILE": files})
    project.sql(WITHOUT_NAME_CHECK)

    with ThreadPoolExecutor() as background:
        with open_transaction(project, models[0]):
            upgrade = background.submit(upgraded.shell, upgrade_database, tmp_path)
            wait_for(lambda: project.sql(IS_WAITING) == "t", seconds=60)
            project.run_minute(models)
            assert not upgrade.done()
        upgrade.result(60)
    assert image_versions(project) == {None}
    upgraded.shell([up], tmp_path)

    assert image_versions(project) == {"next"}
    has_name_check = "SELECT count(*) FROM pg_constraint WHERE conname = 'metrics_executions_name_check'"
    assert project.sql(has_name_check) == "1"
    project.run_minute(models)
    project.up()


def image_versions(project: ComposeProject) -> set[str | None]:
    return {container["Config"]["Labels"].get("version") for container in project.containers(*APP_SERVICES)}


def test_backup_is_restored_into_empty_volumes(project: ComposeProject, models: list[str], tmp_path: Path) -> None:
    [backup] = code_blocks("docs/docker.md", "Back up")
    [restore] = code_blocks("docs/docker.md", "Restore")
    label_rows = project.sql("SELECT count(*) FROM results")

    with project.nothing_lost(models):
        project.shell(backup, tmp_path)
        project.compose("down", "--volumes")
        assert project.resources() == ""
        project.shell(restore, tmp_path)
        assert project.sql("SELECT count(*) FROM results") == label_rows
