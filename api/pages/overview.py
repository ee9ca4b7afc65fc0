"""The overview: what runs, when next, how good the models are, what is wrong."""

from typing import Any, NamedTuple, cast

from flask import Blueprint, Response, current_app, request, url_for

from api import fields, schedule_list
from api.contract import invalid, parameter
from api.pages import page
from api.pages.census import HOUR, Census, Counting
from api.pages.drawing import Bar, bars
from api.pages.renderings import Page
from api.pages.table import rows
from api.problems import Fault
from api.schedule_cursor import Filters, ListedStatus
from api.services import services
from scheduler.walls import MINUTE, floor_minute

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
    return page.answer(tuple(given.items()), lambda: _render(filters, given))


def _filters(given: dict[str, str]) -> Filters:
    for name, value in given.items():
        parameter(name, value, fields.text)
    status = given.get("status")
    if status and status not in schedule_list.STATUSES:
        raise invalid([Fault(f'status is "{status[:80]}"; write {", ".join(TITLES)}', parameter="status")])
    return Filters(
        cron=given.get("cron"),
        zone=given.get("zone"),
        status=cast("ListedStatus | None", status),
        search=given.get("search"),
    )


def _render(filters: Filters, given: dict[str, str]) -> Page:
    counting: Counting = current_app.extensions[COUNTING]
    with services().database.reading() as statements:
        whole = page.look(statements)
        found = schedule_list.page(statements, lambda: services().results, filters, given.get("after"), SHOWN)
    census = counting.latest(FIRST_COUNT)
    return page.rendered(
        "overview.html",
        whole,
        census=census,
        histogram=census and _histogram(census),
        rows=rows(found.schedules, lambda: services().results, whole),
        following=found.following and _address({**given, "after": found.following}),
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
