"""Deletion of old rows of fires, whose sums stay."""

from datetime import timedelta

from scheduler.tasks.fires_retention import retire_old_fires
from tests.support.databases import Connection, execute, fetch_all, fetch_value, set_clock
from tests.support.schedulers import NOON

INSERT_FIRES = """
    INSERT INTO fires (due_at, fired_at, finished_at, models, messages, skipped, leader)
    SELECT due_at, CASE WHEN sent THEN due_at END, CASE WHEN sent THEN due_at END, 100, 2, 3, 'x'
    FROM (SELECT schedule_now() - make_interval(mins => n) AS due_at, n %% 2 = 0 AS sent
          FROM generate_series(1, %s) AS n) AS fire
"""
TOTALS = """
    SELECT retired.fires + (SELECT count(fired_at) FROM fires),
           (retired.models, retired.messages, retired.skipped)::text
    FROM retired_fires AS retired
"""
DAY = timedelta(days=1)


def test_old_fires_are_deleted_in_batches_and_their_sums_stay(db: Connection, session: Connection) -> None:
    set_clock(db, NOON)
    execute(db, INSERT_FIRES, 4000)  # 2,560 of them are older than a day

    totals = [fetch_all(db, TOTALS)[0]]
    for _ in range(4):
        retire_old_fires(session, DAY)
        totals += fetch_all(db, TOTALS)

    assert totals == [
        (2000, "(0,0,0)"),
        (2000, "(100000,2000,3000)"),
        (2000, "(200000,4000,6000)"),
        (2000, "(256000,5120,7680)"),
        (2000, "(256000,5120,7680)"),
    ]
    assert fetch_value(db, "SELECT min(due_at) = schedule_now() - interval '1 day' FROM fires")


def test_totals_of_fires_are_not_written_without_old_fires(db: Connection, session: Connection) -> None:
    set_clock(db, NOON)
    execute(db, INSERT_FIRES, 10)
    before = fetch_value(db, "SELECT xmin::text FROM retired_fires")

    retire_old_fires(session, DAY)

    assert fetch_value(db, "SELECT xmin::text FROM retired_fires") == before
    assert fetch_value(db, "SELECT count(*) FROM fires") == 10
