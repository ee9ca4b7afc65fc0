"""Model page: accuracy over time, confusion matrix, runs."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from flask import Blueprint, Response, request, url_for

from api.backends import backends
from api.contract import fields
from api.contract.request_validation import parse_parameter
from api.pages.confusion import heat_map
from api.pages.page_cache import RenderedPage
from api.pages.response import page_response, read_system_view, render_page
from api.pages.schedule_table import parse_timestamp
from api.pages.snapshot import SystemView
from api.pages.status_badge import pending_run_request, status_badge
from api.problems import NotFound, ServiceUnavailable
from api.schedules import details, serializers
from api.schedules.details import Details
from api.schedules.queries import Schedule
from core.cron.occurrences import InvalidCron, InvalidTimeZone, count_fires
from core.results.codec import STATUS_CODES
from core.results.models import Result
from core.timestamps import MILLISECOND, epoch_milliseconds, iso

blueprint = Blueprint("model", __name__)

PAGE_SIZE = 50  # runs
MAX_CHART_RESULTS = 1000


class Run(NamedTuple):
    """A result, and the number of missed due times since the result before."""

    result: Result
    missed: int

    @property
    def lag(self) -> float:
        """Seconds from the due time to the calculation."""
        return (self.result.calculated_at - self.result.due_at).total_seconds()


@blueprint.get("/models/<model_id>")
def model(model_id: str) -> Response:
    """Return the page of a model, even if only its results are left and no schedule."""
    model_id = parse_parameter("model_id", model_id, fields.uuid)
    before_text = request.args.get("before")
    before = parse_parameter("before", before_text, fields.timestamp) if before_text else None
    return page_response((model_id, before), lambda: _render(model_id, before))


@blueprint.get("/models/<model_id>/chart")
def chart(model_id: str) -> Response:
    """Return the data of the chart: due time (epoch ms), accuracy, samples, status, missed due times of each run."""
    model_id = parse_parameter("model_id", model_id, fields.uuid)
    latest = backends().results.latest(model_id)  # after a new result, all open pages request the chart again
    key = ("chart", model_id, latest and latest.due_at)
    return page_response(key, lambda: _render_chart(model_id), "application/json")


def _render_chart(model_id: str) -> RenderedPage:
    system_view, row = _read(model_id)
    results = backends().results.newest(model_id, None, MAX_CHART_RESULTS)
    points = [
        [
            epoch_milliseconds(run.result.due_at),
            run.result.accuracy,
            run.result.samples,
            STATUS_CODES[run.result.status],
            run.missed,
            *([run.result.error] if run.result.error else []),
        ]
        for run in _runs(row and row.schedule, results[::-1])
    ]
    return RenderedPage(json.dumps(points, separators=(",", ":")), system_view.now)


def _render(model_id: str, before: datetime | None) -> RenderedPage:
    system_view, row = _read(model_id)
    queue = system_view.queue
    if queue is None:
        raise ServiceUnavailable("Redis, which has the results, does not answer at present; try again in a moment.")
    latest = backends().results.latest(model_id)
    if row is None and latest is None:
        raise NotFound(f"model {model_id} has neither a schedule nor a result")
    schedule = row and serializers.schedule_details(row, latest, lambda: queue)
    runs, next_url = _page_of_runs(model_id, row and row.schedule, before)
    matrix = backends().results.latest_confusion(model_id)
    return render_page(
        "model.html",
        system_view,
        model_id=model_id,
        schedule=schedule,
        badge=row
        and schedule
        and status_badge(schedule, row.schedule.last_run_at, latest, schedule["reason"], row.now),
        next_run_at=schedule and parse_timestamp(schedule["next_run_at"]),
        run_requested_at=row and pending_run_request(row.schedule, latest),
        result=latest,
        runs=runs,
        next_url=next_url,
        before=before,
        matrix=matrix,
        cells=matrix and heat_map(matrix.confusion.counts),
        labels_at=latest.data_timestamp if matrix and latest and latest.due_at == matrix.due_at else None,
        latest_due_at=latest and iso(latest.due_at, "milliseconds"),
    )


def _read(model_id: str) -> tuple[SystemView, Details | None]:
    with backends().database.autocommit() as cur:
        return read_system_view(cur), details.find_details(cur, model_id)


def _page_of_runs(
    model_id: str, schedule: Schedule | None, before: datetime | None
) -> tuple[Sequence[Run], str | None]:
    """Return the newest runs before a time, newest first, and the URL of the next page."""
    # One more than is shown: for the due times missed before the last one, and to detect another page.
    results = backends().results.newest(model_id, before, PAGE_SIZE + 1)
    readable = sum(result is not None for result in results[:PAGE_SIZE])
    runs = _runs(schedule, results[::-1])[::-1][:readable]
    if not runs or len(results) <= PAGE_SIZE:
        return runs, None
    return runs, url_for("model.model", model_id=model_id, before=iso(runs[-1].result.due_at, "milliseconds"))


def _runs(schedule: Schedule | None, results: Sequence[Result | None]) -> list[Run]:
    """Return the runs of readable results, oldest first.

    Due times before active_since do not count as missed: the cron spec of that time is unknown.
    """
    runs = []
    previous: Result | None = None
    for result in filter(None, results):
        missed = _count_missed(schedule, previous.due_at, result.due_at) if schedule and previous else 0
        runs.append(Run(result, missed))
        previous = result
    return runs


def _count_missed(schedule: Schedule, after: datetime, before: datetime) -> int:
    if not schedule.enabled or after < schedule.active_since:
        return 0
    try:
        return count_fires(schedule.cron_expression, schedule.timezone, after, before - MILLISECOND)
    except (InvalidCron, InvalidTimeZone):
        return 0
