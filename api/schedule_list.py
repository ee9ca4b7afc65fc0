"""Placeholder until the branch list is merged."""

from typing import Literal, NamedTuple

from psycopg2.extensions import cursor

from api import store
from api.store import Schedule
from worker.results import Results

ListedStatus = Literal["scheduled", "new", "late", "paused", "error", "failing"]
STATUSES = ("scheduled", "new", "late", "paused", "error", "failing")


class Filters(NamedTuple):
    cron: str | None = None
    zone: str | None = None
    enabled: bool | None = None
    status: str | None = None


class Page(NamedTuple):
    schedules: list[Schedule]
    following: str | None


def page(statements: cursor, results: Results, filters: Filters, after: str | None, limit: int) -> Page:
    found = store.page(statements, after or "00000000-0000-0000-0000-000000000000", limit + 1)
    return Page(found[:limit], found[limit - 1].model_id if len(found) > limit else None)
