"""docs/cron.md against the validation trigger, the scheduler and the API: its tables and its response."""

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

import pytest

from api.main import create_app
from api.settings import Settings
from core.cron.occurrences import next_fire
from devstack.process import ROOT
from tests.support import cron_model
from tests.support.databases import Connection, Databases, fetch_all, set_clock

PAGE = (ROOT / "docs/cron.md").read_text()
TRANSITION = re.compile(r"(?P<zone>\S+/\S+), (?P<day>\d{4}-\d\d-\d\d), (?P<start>\d\d:\d\d) to (?P<end>\d\d:\d\d)")


def tables() -> Iterator[tuple[str, list[list[str]]]]:
    """Yield the first cell of each table's header, and its rows."""
    for table in re.findall(r"(?:^\|.*\n)+", PAGE, re.MULTILINE):
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
        yield cells[0][0], cells[2:]


def table_rows(header: str) -> list[list[str]]:
    [cells] = [table for first, table in tables() if first == header]
    return cells


TRANSITIONS = [(first, row[0], row[1]) for first, table in tables() if TRANSITION.fullmatch(first) for row in table]


@pytest.mark.parametrize(("transition", "expression", "runs"), TRANSITIONS)
def test_runs_around_a_dst_transition(transition: str, expression: str, runs: str) -> None:
    match = TRANSITION.fullmatch(transition)
    assert match
    zone = ZoneInfo(match["zone"])
    start, end = (
        datetime.fromisoformat(f"{match['day']} {match[name]}").replace(tzinfo=zone) for name in ("start", "end")
    )

    fires = cron_model.fire_times(expression.strip("`"), match["zone"], start.astimezone(UTC), end.astimezone(UTC))

    local_times = [fire.astimezone(zone).strftime("%H:%M %Z") for fire in fires]
    assert local_times == [run for run in runs.split(", ") if run]
    assert fires == list(due_times(expression.strip("`"), match["zone"], start.astimezone(UTC), end.astimezone(UTC)))


def due_times(expression: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    due_at = next_fire(expression, zone, start - timedelta(microseconds=1))
    while due_at < end:
        yield due_at
        due_at = next_fire(expression, zone, due_at)


def test_cron_page_has_both_transitions_of_two_zones() -> None:
    assert len({transition for transition, _, _ in TRANSITIONS}) == 4


@pytest.mark.parametrize(("expression", "days"), table_rows("from 2026-10-31"))
def test_days_of_the_month_and_week(expression: str, days: str) -> None:
    def fires() -> Iterator[datetime]:
        due_at = datetime(2026, 10, 31, 12, tzinfo=UTC)
        while True:
            due_at = next_fire(expression.strip("`"), "UTC", due_at)
            yield due_at

    assert ", ".join(f"{due_at.day} {due_at:%b}" for due_at in islice(fires(), 5)) == days


@pytest.mark.parametrize(("written", "reason", "hint"), table_rows("written"))
def test_rejected_expression_has_this_reason_and_hint(db: Connection, written: str, reason: str, hint: str) -> None:
    assert fetch_all(db, "SELECT * FROM cron_problem(normalize_cron(%s))", written.strip("`")) == [(reason, hint)]


def test_response_of_get_cron(databases: Databases, database_url: str, db: Connection, redis_url: str) -> None:
    command, expected = re.findall(r'^    (curl .*|\{".*)$', PAGE, re.MULTILINE)
    settings = Settings.from_env(
        {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}
    )
    set_clock(db, "2026-03-28 12:00:00+00")

    response = create_app(settings).test_client().get(command.split("localhost:5000")[1].rstrip('"'))

    assert response.json == json.loads(expected)
