"""Next due times of cron specs."""

from datetime import UTC, datetime

from core.cron.spec import CronSpec, next_due_time


def test_error_of_the_calendar_is_the_error_of_the_cron_spec() -> None:
    due_time = next_due_time(CronSpec("* * * * *", "UTC"), datetime(9999, 12, 31, 23, 59, tzinfo=UTC))

    assert due_time.next_due_at is None
    assert due_time.error is not None
