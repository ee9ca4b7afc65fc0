"""Models whose results are counted: due every minute, in several time zones."""

from datetime import datetime

from tests.chaos.timeline import full_minutes
from tests.support.databases import Connection, execute, fetch_all

COUNT = 1000
CRON = "* * * * *"
TIME_ZONES = ["UTC", "Europe/Warsaw", "Asia/Kolkata", "Australia/Lord_Howe"]
NAME = "counted"

INSERT_SCHEDULES = """
    INSERT INTO metrics_executions (model_id, name, cron_expression, timezone)
    SELECT gen_random_uuid(), %(name)s, %(cron)s, (%(zones)s::text[])[number %% cardinality(%(zones)s::text[]) + 1]
    FROM generate_series(1, %(count)s) AS number
"""
INSERT_LABELS = """
    INSERT INTO results (model_id, y_true, y_pred, "timestamp")
    SELECT model_id, '[0, 1, 1, 0]', '[0, 1, 0, 0]', public.schedule_now()
    FROM metrics_executions WHERE name = %(name)s
"""
ACTIVE_SINCE = "SELECT min(active_since), max(active_since) FROM metrics_executions"
MODEL_IDS = "SELECT model_id::text FROM metrics_executions WHERE name = %s ORDER BY model_id"


def insert(db: Connection) -> datetime:
    """Insert the models with labels; returns the time after which they are due."""
    execute(db, INSERT_SCHEDULES, {"name": NAME, "cron": CRON, "zones": TIME_ZONES, "count": COUNT})
    insert_labels(db)
    [(first, last)] = fetch_all(db, ACTIVE_SINCE)
    assert full_minutes(first, last) == [], "the models were not inserted within one minute of the clock"
    latest: datetime = last
    return latest


def insert_labels(db: Connection) -> None:
    """Insert a label row for each model, so that its next result is not a repetition."""
    execute(db, INSERT_LABELS, {"name": NAME})


def model_ids(db: Connection) -> list[str]:
    return [model_id for (model_id,) in fetch_all(db, MODEL_IDS, NAME)]
