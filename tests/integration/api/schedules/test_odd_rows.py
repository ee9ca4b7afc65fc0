"""Rows that bypassed the validation trigger are listed like others, and never make a list fail."""

from typing import Any

import pytest
from flask.testing import FlaskClient

from tests.support.databases import MODEL, OTHER, Connection, bypass_triggers, execute, schedule, set_clock

ODD_VALUES = [
    *(
        f"{column} = '{value}'"
        for column in ("active_since", "run_requested_at", "created_at", "updated_at")
        for value in ("-infinity", "infinity", "0001-01-01 00:00+00", "0044-03-15 BC", "20000-01-01")
    ),
    "name = E'a\\n\\tb\\x01'",
    "timezone = '__init__/py'",
    "timezone = '../../etc/passwd'",
    "timezone = ''",
    "cron_expression = ''",
    "cron_expression = repeat('*', 2000)",
    "cron_expression = E'* * * * *\\n'",
]


@pytest.mark.parametrize("assignment", ODD_VALUES)
def test_odd_row_causes_no_internal_error(client: FlaskClient, db: Connection, assignment: str) -> None:
    set_clock(db, "2026-11-24 12:00:00+00")
    schedule(db, OTHER)
    with bypass_triggers(db):
        schedule(db, MODEL, "5 * * * *")
        execute(db, f"UPDATE metrics_executions SET {assignment} WHERE model_id = '{MODEL}'")
    paths = ["/schedule", f"/schedule/{MODEL}", "/status", "/metrics", "/", f"/models/{MODEL}", "/schedule?status=new"]

    assert [client.get(path).status_code for path in ("/schedule", f"/schedule/{MODEL}")] == [200, 200]
    assert not [path for path in paths if client.get(path).status_code == 500]
    schedules: Any = client.get("/schedule").json
    assert {item["model_id"] for item in schedules} == {MODEL, OTHER}

    execute(db, "INSERT INTO crons (cron_expression, timezone, next_due_at, tzdata_version)"
            " SELECT DISTINCT cron_expression, timezone, schedule_now() + interval '1 minute', 'x'"
            " FROM metrics_executions")  # fmt: skip
    assert not [path for path in paths if client.get(path).status_code == 500]
    assert client.patch(f"/schedule/{MODEL}", json={"enabled": False}).status_code in {200, 422}
    assert client.delete(f"/schedule/{MODEL}").status_code == 204


def test_reason_of_a_schedule_that_is_active_in_the_future(client: FlaskClient, db: Connection) -> None:
    set_clock(db, "2026-11-24 12:00:00+00")
    with bypass_triggers(db):
        schedule(db)
        execute(db, "UPDATE metrics_executions SET active_since = '2027-01-01 00:00:00+00'")
        execute(db, "INSERT INTO crons VALUES ('* * * * *', 'UTC', '2026-11-24 12:01:00+00', NULL, NULL, 'x')")

    body: Any = client.get(f"/schedule/{MODEL}").json

    expected = "active_since is 2027-01-01T00:00:00Z, ahead of the clock; pause and resume the schedule"
    assert body["reason"] == expected
