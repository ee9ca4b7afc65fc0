"""docs/cron.md says what the gate, the scheduler and the API do: its tables and its answer are checked row by row."""

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
from tests.support.databases import Connection, Databases, rows, set_clock

DOCUMENT = (ROOT / "docs/cron.md").read_text()
NIGHT = re.compile(r"(?P<zone>\S+/\S+), (?P<day>\d{4}-\d\d-\d\d), (?P<start>\d\d:\d\d) to (?P<end>\d\d:\d\d)")


def tables() -> Iterator[tuple[str, list[list[str]]]]:
    """Yield the first cell of each table's head, and its rows."""
    for table in re.findall(r"(?:^\|.*\n)+", DOCUMENT, re.MULTILINE):
        cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in table.strip().splitlines()]
        yield cells[0][0], cells[2:]


def rows_of(head: str) -> list[list[str]]:
    [found] = [table for first, table in tables() if first == head]
    return found


NIGHTS = [(first, row[0], row[1]) for first, table in tables() if NIGHT.fullmatch(first) for row in table]


@pytest.mark.parametrize(("night", "expression", "runs"), NIGHTS)
def test_a_night_of_daylight_saving(night: str, expression: str, runs: str) -> None:
    found = NIGHT.fullmatch(night)
    assert found
    zone = ZoneInfo(found["zone"])
    start, end = (
        datetime.fromisoformat(f"{found['day']} {found[name]}").replace(tzinfo=zone) for name in ("start", "end")
    )

    fires = cron_model.fire_times(expression.strip("`"), found["zone"], start.astimezone(UTC), end.astimezone(UTC))

    shown = [fire.astimezone(zone).strftime("%H:%M %Z") for fire in fires]
    assert shown == [run for run in runs.split(", ") if run]
    assert fires == list(scheduled(expression.strip("`"), found["zone"], start.astimezone(UTC), end.astimezone(UTC)))


def scheduled(expression: str, zone: str, start: datetime, end: datetime) -> Iterator[datetime]:
    moment = next_fire(expression, zone, start - timedelta(microseconds=1))
    while moment < end:
        yield moment
        moment = next_fire(expression, zone, moment)


def test_both_nights_of_both_zones_are_there() -> None:
    assert len({night for night, _, _ in NIGHTS}) == 4


@pytest.mark.parametrize(("expression", "days"), rows_of("from 2026-10-31"))
def test_the_day_rule(expression: str, days: str) -> None:
    def fires() -> Iterator[datetime]:
        moment = datetime(2026, 10, 31, 12, tzinfo=UTC)
        while True:
            moment = next_fire(expression.strip("`"), "UTC", moment)
            yield moment

    assert ", ".join(f"{moment.day} {moment:%b}" for moment in islice(fires(), 5)) == days


@pytest.mark.parametrize(("written", "reason", "hint"), rows_of("written"))
def test_a_refusal(db: Connection, written: str, reason: str, hint: str) -> None:
    assert rows(db, "SELECT * FROM cron_problem(normalize_cron(%s))", written.strip("`")) == [(reason, hint)]


def test_the_answer_of_get_cron(databases: Databases, database_url: str, db: Connection, redis_url: str) -> None:
    command, answer = re.findall(r'^    (curl .*|\{".*)$', DOCUMENT, re.MULTILINE)
    settings = Settings.from_env(
        {"DATABASE_URL": databases.url_as("metrics_api", database_url), "REDIS_URL": redis_url}
    )
    set_clock(db, "2026-03-28 12:00:00+00")

    found = create_app(settings).test_client().get(command.split("localhost:5000")[1].rstrip('"'))

    assert found.json == json.loads(answer)
