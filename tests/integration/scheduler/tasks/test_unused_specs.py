"""Deletion of cron specs that no enabled schedule uses any more."""

import pytest

from scheduler import leader as leader_module
from scheduler.tasks import unused_specs
from tests.support.databases import Connection, execute, fetch_all, model_ids
from tests.support.schedulers import BEFORE_NOON, LeaderAt, run_leader_until_idle


def test_unused_cron_specs_are_deleted_in_batches(
    db: Connection, leader_at: LeaderAt, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unused_specs, "BATCH_SIZE", 2)
    leader = leader_at(BEFORE_NOON, {model_id: f"{minute} * * * *" for minute, model_id in enumerate(model_ids(5))})
    execute(db, "DELETE FROM metrics_executions WHERE cron_expression <> '3 * * * *'")

    monkeypatch.setattr(leader_module, "CLEANUP_INTERVAL", 0.0)
    run_leader_until_idle(leader)

    assert fetch_all(db, "SELECT cron_expression FROM crons") == [("3 * * * *",)]
