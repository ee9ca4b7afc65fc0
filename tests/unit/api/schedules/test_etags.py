"""ETags of schedules, which clients store across upgrades."""

from datetime import UTC, datetime
from typing import Any

import pytest

from api.schedules.etags import schedule_tag
from api.schedules.queries import Schedule

CREATED_AT = datetime(2026, 11, 24, 12, 0, 30, 123456, tzinfo=UTC)
SCHEDULE = Schedule(
    model_id="550e8400-e29b-41d4-a716-446655440000",
    name='Größe "A"',
    cron_expression="*/5 9-17 * * mon-fri",
    timezone="Europe/Warsaw",
    enabled=True,
    status="scheduled",
    next_run_at=CREATED_AT,
    last_run_at=None,
    error=None,
    active_since=CREATED_AT,
    created_at=CREATED_AT,
    updated_at=CREATED_AT.replace(hour=13),
    requested_run_at=None,
)


@pytest.mark.parametrize(
    ("schedule", "tag"),
    [
        (SCHEDULE, "62fa5c89e87240ad8784deca"),
        (SCHEDULE._replace(name=None, enabled=False), "a00bf0dbed8c261aca5d4904"),
    ],
)
def test_tag_of_unchanged_schedule_is_the_same_in_all_versions(schedule: Schedule, tag: str) -> None:
    assert schedule_tag(schedule) == tag


def test_runs_do_not_change_the_tag() -> None:
    after_run = SCHEDULE._replace(
        status="late", next_run_at=None, last_run_at=CREATED_AT, error="x", requested_run_at=CREATED_AT
    )

    assert schedule_tag(after_run) == schedule_tag(SCHEDULE)


@pytest.mark.parametrize("field", ["model_id", "name", "cron_expression", "timezone", "enabled", "updated_at"])
def test_each_change_of_a_user_changes_the_tag(field: str) -> None:
    change: dict[str, Any] = {field: "changed"}

    assert schedule_tag(SCHEDULE._replace(**change)) != schedule_tag(SCHEDULE)
