import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psycopg2
import pytest

from devstack import postgres, redis
from devstack.ports import free_port
from devstack.process import ROOT, wait_until
from tests.support.databases import DEFAULT_TIMEOUT
from tests.support.launcher import Launcher, descendants, environment, running

SERVICES = ["api", "scheduler", "worker", "redis", "postgres"]  # in the order in which they are stopped
MODEL = "00000000-0000-4000-8000-00000000dead"


def start_error(data_dir: Path, port: int | str) -> str:
    """Start a launcher that cannot start, and return its error, a single line."""
    completed = subprocess.run(
        [sys.executable, "-m", "devstack"],
        cwd=ROOT,
        env=environment(data_dir, port),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert completed.returncode == 1
    assert completed.stdout == ""
    assert len(completed.stderr.splitlines()) == 1, completed.stderr
    return completed.stderr


def test_stack_env_has_the_urls_and_process_ids(stack: Launcher) -> None:
    variables = stack.variables()

    assert stack.stack_env.stat().st_mode & 0o777 == 0o600
    assert variables["API_URL"] == f"http://127.0.0.1:{stack.port}"
    assert postgres.accepts_connections(variables["DATABASE_URL"])
    assert redis.is_ready(variables["REDIS_URL"])
    pids = {int(variables[f"{service.upper()}_PID"]) for service in SERVICES}
    assert len(pids) == len(SERVICES)
    assert running(pids) == pids


def test_a_shell_can_read_stack_env(stack: Launcher) -> None:
    script = f'. {stack.stack_env} && printf "%s" "$DATABASE_URL"'

    url = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True).stdout

    assert url == stack.variables()["DATABASE_URL"]


def test_every_line_begins_with_its_process(stack: Launcher) -> None:
    before_ready = stack.output.split("stack     | ", maxsplit=1)[0]

    names = {line[:12] for line in before_ready.splitlines()}

    assert {"postgres  | ", "redis     | ", "sql.apply | ", "api       | "} <= names
    assert all(name.endswith(" | ") for name in names)


def test_a_second_launcher_of_the_same_folder_cannot_start(stack: Launcher) -> None:
    assert "in use by a stack" in start_error(stack.data_dir, free_port())
    assert stack.stack_env.exists()


def test_the_port_has_to_be_free(stack: Launcher, data_dir: Path) -> None:
    assert f"port {stack.port} is not free" in start_error(data_dir, stack.port)


def test_the_port_has_to_be_valid(data_dir: Path) -> None:
    assert 'PORT is "http"; write a number from 1 to 65535' in start_error(data_dir, "http")


@pytest.mark.parametrize("service", SERVICES)
def test_a_killed_process_is_restarted(stack: Launcher, service: str) -> None:
    variable = f"{service.upper()}_PID"
    killed = stack.variables()[variable]

    os.kill(int(killed), signal.SIGKILL)

    assert wait_until(lambda: stack.variables()[variable] != killed, seconds=DEFAULT_TIMEOUT), stack.output
    assert wait_until(stack.is_api_ready, seconds=DEFAULT_TIMEOUT), stack.output
    restarted = {int(stack.variables()[variable])}
    assert running(restarted) == restarted


def test_a_killed_launcher_leaves_nothing_running_and_loses_no_row(data_dir: Path) -> None:
    with Launcher.start(data_dir) as launcher:
        launcher.wait_until_ready()
        insert_row(launcher.variables()["DATABASE_URL"])
        processes = descendants(launcher.popen.pid)
        assert len(processes) > len(SERVICES)

        launcher.stop(signal.SIGKILL)

    with Launcher.start(data_dir, launcher.port) as restarted:  # at once, as an impatient user does
        assert wait_until(lambda: not running(processes), seconds=DEFAULT_TIMEOUT), running(processes)
        restarted.wait_until_ready()
        assert count_rows(restarted.variables()["DATABASE_URL"]) == 1


def test_sigterm_stops_all_processes_in_order(data_dir: Path) -> None:
    with Launcher.start(data_dir) as launcher:
        launcher.wait_until_ready()
        processes = descendants(launcher.popen.pid)

        exit_code = launcher.stop(signal.SIGTERM)

        assert exit_code == 0, launcher.output
        assert not running(processes)
        assert not launcher.stack_env.exists()
        assert "Traceback" not in launcher.output
        stopped = re.findall(r"^stack +\| (\w+) stopped \(", launcher.output, re.MULTILINE)
        assert stopped == SERVICES


def insert_row(url: str) -> None:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO metrics_executions (model_id, cron_expression) VALUES (%s, '0 0 1 1 *')", (MODEL,))
    connection.close()


def count_rows(url: str) -> int:
    connection = psycopg2.connect(url)
    with connection, connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM metrics_executions WHERE model_id = %s", (MODEL,))
        (count,) = cursor.fetchone() or (0,)
    connection.close()
    return int(count)
