"""Deletion of cron specs that no enabled schedule uses any more."""

from scheduler.tasks.unused_specs import BATCH_SIZE
from tests.support.databases import MODEL, Connection, execute, fetch_all
from tests.support.schedulers import BEFORE_NOON, LeaderAt, run_leader_until_idle

INSERT_UNUSED = """
    INSERT INTO crons (cron_expression, timezone, next_due_at, tzdata_version)
    SELECT concat_ws(' ', n %% 60, n / 60 %% 24, n / 1440 + 1, '1 *'), 'UTC', '2027-01-01', 'x'
    FROM generate_series(1, %s) AS n
"""


def test_unused_cron_specs_are_deleted_in_batches(db: Connection, leader_at: LeaderAt) -> None:
    leader = leader_at(BEFORE_NOON, {MODEL: "3 * * * *"}, cleanup_interval=0.0)
    execute(db, INSERT_UNUSED, 3 * BATCH_SIZE)

    run_leader_until_idle(leader)

    assert fetch_all(db, "SELECT cron_expression FROM crons") == [("3 * * * *",)]
