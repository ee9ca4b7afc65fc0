"""Overview page: system health, statistics, and the table of schedules."""

from typing import Any, NamedTuple, cast

from flask import Blueprint, Response, current_app, request, url_for

from api.backends import backends
from api.contract import fields
from api.contract.field_errors import problem_with
from api.contract.request_validation import parse_parameter
from api.pages.page_cache import RenderedPage
from api.pages.response import page_response, read_system_view, render_page
from api.pages.schedule_table import table_rows
from api.pages.statistics import FORECAST_MINUTES, Statistics
from api.pages.statistics_cache import StatisticsCache
from api.pages.svg import Bar, bars
from api.problems import FieldError
from api.schedules.listing import page as listing
from api.schedules.listing.cursor import Filters, ListedStatus
from core.cron.wall_clock import MINUTE, floor_minute

blueprint = Blueprint("overview", __name__)

STATISTICS_CACHE = "cyclic-metrics-statistics-cache"  # extension
STATISTICS_TIMEOUT = 0.1  # seconds; after it, the page comes without statistics, and has them at the next refresh
PAGE_SIZE = 50  # schedules

PARAMETERS = ("search", "status", "cron", "zone", "after")
STATUS_TITLES = {
    "failing": "the last result has no figure",
    "late": "its moment passed, and it was not sent",
    "error": "its cron or zone is not valid",
    "new": "the scheduler has not seen it yet",
    "paused": "nothing runs until it is resumed",
    "scheduled": "sent in time",
}


class Histogram(NamedTuple):
    """Models due in each minute of the coming hour."""

    bars: list[tuple[Bar, str]]  # with their tooltips
    summary: str
    axis_labels: tuple[str, str, str]  # start, middle and end of the hour


@blueprint.get("/")
def overview() -> Response:
    """Return the overview with a page of the schedules."""
    # Forms send empty fields too.
    parameters = {name: value for name in PARAMETERS if (value := request.args.get(name))}
    filters = _filters(parameters)
    return page_response(tuple(parameters.items()), lambda: _render(filters, parameters))


def _filters(parameters: dict[str, str]) -> Filters:
    for name, value in parameters.items():
        parse_parameter(name, value, fields.text)
    status = parameters.get("status")
    if status and status not in listing.STATUSES:
        detail = f'status is "{status[:80]}"; write {", ".join(STATUS_TITLES)}'
        raise problem_with([FieldError(detail, parameter="status")])
    return Filters(
        cron=parameters.get("cron"),
        zone=parameters.get("zone"),
        status=cast("ListedStatus | None", status),
        search=parameters.get("search"),
    )


def _render(filters: Filters, parameters: dict[str, str]) -> RenderedPage:
    statistics_cache: StatisticsCache = current_app.extensions[STATISTICS_CACHE]
    with backends().database.autocommit() as cur:
        system_view = read_system_view(cur)
        search = listing.Search(cur, lambda: backends().results, filters)
        page = listing.read_page(search, parameters.get("after"), PAGE_SIZE)
    statistics = statistics_cache.get(STATISTICS_TIMEOUT)
    return render_page(
        "overview.html",
        system_view,
        statistics=statistics,
        histogram=statistics and _histogram(statistics),
        rows=table_rows(page.schedules, lambda: backends().results, system_view),
        next_url=page.next_cursor and _url({**parameters, "after": page.next_cursor}),
        status_titles=STATUS_TITLES,
        parameters=parameters,
    )


def _url(parameters: dict[str, Any]) -> str:
    return url_for("overview.overview", **parameters)


def _histogram(statistics: Statistics) -> Histogram:
    start = floor_minute(statistics.counted_at)
    times = [f"{start + index * MINUTE:%H:%M}" for index in range(FORECAST_MINUTES + 1)]
    counts = statistics.due_per_minute
    total, maximum = sum(counts), max(counts)
    summary = f"{total:,} runs in the hour from {times[0]} UTC"
    if total:
        summary += f", at most {maximum:,} in one minute ({times[counts.index(maximum)]})"
    labeled_bars = [
        (bar, f"{times[bar.x]} UTC: {bar.value:,} {'models' if bar.value > 1 else 'model'}") for bar in bars(counts)
    ]
    return Histogram(labeled_bars, summary, (times[0], times[FORECAST_MINUTES // 2], times[FORECAST_MINUTES]))
