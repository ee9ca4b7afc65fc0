"""The overview: what runs, when next, how good the models are, what is wrong."""

from typing import Any, NamedTuple, cast

from flask import Blueprint, Response, current_app, request, url_for

from api.backends import backends
from api.contract import fields
from api.contract.field_errors import problem_with
from api.contract.request_validation import parse_parameter
from api.pages import response
from api.pages.page_cache import Page
from api.pages.schedule_table import rows
from api.pages.statistics import HOUR, Census, Counting
from api.pages.svg import Bar, bars
from api.problems import FieldError
from api.schedules.listing import page as listing
from api.schedules.listing.cursor import Filters, ListedStatus
from core.cron.wall_clock import MINUTE, floor_minute

blueprint = Blueprint("overview", __name__)

COUNTING = "cyclic-metrics-counting"
SHOWN = 50  # schedules on a page
FIRST_COUNT = 0.1  # seconds that the first page waits for it; without it, the numbers come later

PARAMETERS = ("search", "status", "cron", "zone", "after")
TITLES = {  # of the filter
    "failing": "the last result has no figure",
    "late": "its moment passed, and it was not sent",
    "error": "its cron or zone is not valid",
    "new": "the scheduler has not seen it yet",
    "paused": "nothing runs until it is resumed",
    "scheduled": "sent in time",
}


class Histogram(NamedTuple):
    """Models due in each minute of the coming hour."""

    bars: list[tuple[Bar, str]]  # with when, and how many
    summary: str
    ends: tuple[str, str, str]  # the first minute, the one in the middle, the end


@blueprint.get("/")
def overview() -> Response:
    """Show how everything is, and a page of the schedules."""
    given = {name: value for name in PARAMETERS if (value := request.args.get(name))}  # forms send what is empty
    filters = _filters(given)
    return response.answer(tuple(given.items()), lambda: _render(filters, given))


def _filters(given: dict[str, str]) -> Filters:
    for name, value in given.items():
        parse_parameter(name, value, fields.text)
    status = given.get("status")
    if status and status not in listing.STATUSES:
        raise problem_with([FieldError(f'status is "{status[:80]}"; write {", ".join(TITLES)}', parameter="status")])
    return Filters(
        cron=given.get("cron"),
        zone=given.get("zone"),
        status=cast("ListedStatus | None", status),
        search=given.get("search"),
    )


def _render(filters: Filters, given: dict[str, str]) -> Page:
    counting: Counting = current_app.extensions[COUNTING]
    with backends().database.autocommit() as statements:
        whole = response.look(statements)
        found = listing.read_page(statements, lambda: backends().results, filters, given.get("after"), SHOWN)
    census = counting.latest(FIRST_COUNT)
    return response.rendered(
        "overview.html",
        whole,
        census=census,
        histogram=census and _histogram(census),
        rows=rows(found.schedules, lambda: backends().results, whole),
        following=found.next_cursor and _address({**given, "after": found.next_cursor}),
        titles=TITLES,
        given=given,
    )


def _address(parameters: dict[str, Any]) -> str:
    return url_for("overview.overview", **parameters)


def _histogram(census: Census) -> Histogram:
    start = floor_minute(census.counted_at)
    times = [f"{start + place * MINUTE:%H:%M}" for place in range(HOUR + 1)]
    total, most = sum(census.minutes), max(census.minutes)
    summary = f"{total:,} runs in the hour from {times[0]} UTC"
    if total:
        summary += f", at most {most:,} in one minute ({times[census.minutes.index(most)]})"
    labelled = [
        (bar, f"{times[bar.place]} UTC: {bar.figure:,} {'models' if bar.figure > 1 else 'model'}")
        for bar in bars(census.minutes)
    ]
    return Histogram(labelled, summary, (times[0], times[HOUR // 2], times[HOUR]))
