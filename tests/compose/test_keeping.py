"""Stopping, upgrading, backing up and restoring lose nothing, by the commands of docs/docker.md."""

import os
import subprocess
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from devstack.process import ROOT
from tests.compose.docker import service_of
from tests.compose.documents import blocks
from tests.compose.stack import OURS, SERVICES, Stack
from tests.support.databases import wait_for

pytestmark = pytest.mark.timeout(600)

# Twelve messages for two processes: some are left when the stop arrives, also where a batch takes no second.
MANY = 1200
LARGE = "large"  # name of their schedules
LOG_LABELS = """
    WITH labels AS MATERIALIZED (SELECT json_agg(n % 10) AS json FROM generate_series(1, 100000) AS n)
    INSERT INTO results (model_id, y_true, y_pred)
        SELECT gen_random_uuid(), labels.json, labels.json FROM labels, generate_series(1, {many})
        RETURNING model_id
"""
# New images of the same code.
NEXT = """
x-next: &next { build: { labels: { version: next } } }
services: { database: *next, api: *next, scheduler: *next, worker: *next }
"""
# As a client that never commits, and as VACUUM.
BUSY = """
BEGIN;
UPDATE metrics_executions SET name = 'busy' WHERE model_id = '{model_id}';
LOCK TABLE metrics_executions, results, fires, leader IN SHARE UPDATE EXCLUSIVE MODE;
INSERT INTO results (model_id, y_true, y_pred) VALUES ('{model_id}', '[1]', '[0]');
SELECT 'busy';
"""

WAITING = "SELECT EXISTS (SELECT FROM pg_locks WHERE relation = 'results'::regclass AND NOT granted)"


def test_a_stop_in_mid_calculation_loses_nothing(stack: Stack, tmp_path: Path) -> None:
    stop, _ = blocks("docs/docker.md", "Stop")[0]
    large = set(stack.sql(LOG_LABELS.format(many=MANY)).split())
    ids = ",".join(large)
    # Scheduled once the clock is set: the minute that it may leave out would be made up, and this one be unchanged.
    minute = stack.minute(seconds=10)
    stack.sql(
        "INSERT INTO metrics_executions (model_id, name, cron_expression)"
        f" SELECT unnest('{{{ids}}}'::uuid[]), '{LARGE}', '* * * * *'"
    )
    of_the_minute = f" [{minute.due_at.timestamp():.0f}000,"

    def calculated() -> list[str]:
        """Return the large models that have their result, each as often as it is there."""
        keys = [result.split()[0] for result in stack.results() if of_the_minute in result]
        return [model_id for key in keys if (model_id := key.removeprefix("metrics:results:")) in large]

    wait_for(calculated)
    stack.shell([stop], tmp_path)
    codes = {service_of(container): container["State"]["ExitCode"] for container in stack.containers()}
    stack.up("redis")
    before = len(calculated())
    stack.up()

    assert codes == dict.fromkeys((*SERVICES, "database"), 0)  # 137: SIGTERM did not reach it, or it took too long
    assert 0 < before < MANY
    wait_for(lambda: len(calculated()) >= MANY, seconds=180)
    assert set(calculated()) == large
    assert len(calculated()) == MANY
    stack.sql(
        f"DELETE FROM results WHERE model_id = ANY ('{{{ids}}}'); DELETE FROM metrics_executions WHERE name = '{LARGE}'"
    )


def test_down_and_up_keep_schedules_and_results(stack: Stack, models: list[str], tmp_path: Path) -> None:
    """And new passwords in .env count from the next start on."""
    _, down = blocks("docs/docker.md", "Stop")[0]
    names = ("METRICS_API_PASSWORD", "METRICS_SCHEDULER_PASSWORD", "METRICS_WORKER_PASSWORD")
    changed = replace(stack, variables={**stack.variables, **{name: f"new {name} #'$" for name in names}})

    with stack.nothing_is_lost(models):
        stack.shell([down], tmp_path)
        assert stack.containers() == []
        changed.up()
    stack.up()


@contextmanager
def busy(stack: Stack, model_id: str) -> Iterator[None]:
    """Keep a transaction open."""
    command = ["docker", "compose", "exec", "-T", "postgres", "psql", "--tuples-only", "--no-align", "--quiet"]
    with subprocess.Popen(
        command, cwd=ROOT, env=stack.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as client:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(BUSY.format(model_id=model_id))
        client.stdin.flush()
        assert client.stdout.readline() == "busy\n"
        yield
        assert client.poll() is None
        client.stdin.close()  # psql ends, and PostgreSQL rolls back


def test_an_upgrade_is_the_same_command_beside_a_busy_database(stack: Stack, models: list[str], tmp_path: Path) -> None:
    (pull, *upgrade), _ = blocks("docs/docker.md", "Upgrade")
    assert pull == "git pull"
    parts = "SELECT to_regclass('crons_last_due') IS NOT NULL, to_regclass('schedule_status') IS NOT NULL"
    stack.sql("DROP INDEX crons_last_due; DROP VIEW schedule_status")  # an earlier version had neither

    with stack.nothing_is_lost(models), busy(stack, models[0]):
        stack.shell(upgrade, tmp_path)
        assert stack.sql(parts) == "t|t"


def test_an_upgrade_that_must_wait_can_run_beside_the_old_version(
    stack: Stack, models: list[str], tmp_path: Path
) -> None:
    """With new images, and a change of a table to which somebody has written and not committed."""
    _, (*beside, up) = blocks("docs/docker.md", "Upgrade")
    (tmp_path / "next.yaml").write_text(NEXT)
    files = os.pathsep.join((stack.environment["COMPOSE_FILE"], str(tmp_path / "next.yaml")))
    upgraded = replace(stack, variables={**stack.variables, "COMPOSE_FILE": files})
    stack.sql("DROP INDEX results_newest")

    with ThreadPoolExecutor() as background:
        with busy(stack, models[0]):
            waiting = background.submit(upgraded.shell, beside, tmp_path)
            wait_for(lambda: stack.sql(WAITING) == "t", seconds=60)
            stack.run_a_minute(models)
            assert not waiting.done()
        waiting.result(60)
    assert {container["Config"]["Labels"].get("version") for container in stack.containers(*OURS)} == {None}
    upgraded.shell([up], tmp_path)

    assert {container["Config"]["Labels"].get("version") for container in stack.containers(*OURS)} == {"next"}
    assert stack.sql("SELECT to_regclass('results_newest') IS NOT NULL") == "t"
    stack.run_a_minute(models)
    stack.up()


def test_a_backup_is_restored_into_empty_volumes_and_fires_again(
    stack: Stack, models: list[str], tmp_path: Path
) -> None:
    [backup] = blocks("docs/docker.md", "Back up")
    [restore] = blocks("docs/docker.md", "Restore")
    labels = stack.sql("SELECT count(*) FROM results")

    with stack.nothing_is_lost(models):
        stack.shell(backup, tmp_path)
        stack.compose("down", "--volumes")
        assert stack.leftovers() == ""
        stack.shell(restore, tmp_path)
        assert stack.sql("SELECT count(*) FROM results") == labels
