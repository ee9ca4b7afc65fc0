"""Isolation of the leader's tasks from each other."""

import pytest

from scheduler.task_runner import TaskRunner
from tests.support.databases import Connection, wait_for


def test_failing_task_does_not_affect_other_tasks(db: Connection, caplog: pytest.LogCaptureFixture) -> None:
    runner = TaskRunner(db)

    def fail() -> bool:
        raise ZeroDivisionError("odd")

    assert not runner.run("one", fail)
    assert runner.error == "ZeroDivisionError: odd"
    assert runner.run("other", lambda: True)
    assert not runner.run("one", lambda: True)  # its backoff has not passed

    assert wait_for(lambda: runner.run("one", lambda: True))
    assert runner.error is None
    assert "one: recovered" in caplog.text
