"""A model's page: its accuracy over time, what it confuses, each of its runs."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from flask import Blueprint, Response, request, url_for

from api.backends import backends
from api.contract import fields
from api.contract.request_validation import parse_parameter
from api.pages import response
from api.pages.confusion import heat
from api.pages.page_cache import Page
from api.pages.schedule_table import instant
from api.pages.status_badge import requested_run, state
from api.problems import NotFound, ServiceUnavailable
from api.schedules import details, serializers
from api.schedules.queries import Schedule
from core.cron.occurrences import InvalidCron, InvalidTimeZone, count_fires
from core.results.codec import STATUS_CODES
from core.results.models import Result
from core.timestamps import MILLISECOND, epoch_milliseconds, iso

blueprint = Blueprint("model", __name__)

LISTED = 50  # runs on a page
DRAWN = 1000  # results in the chart, at most


class Run(NamedTuple):
    """A result, and how many moments had none before it, back to the one before."""

    result: Result
    missed: int

    @property
    def lag(self) -> float:
        """Seconds from the moment to the calculation."""
        return (self.result.calculated_at - self.result.due_at).total_seconds()


@blueprint.get("/models/<model_id>")
def model(model_id: str) -> Response:
    """Show a model, also one whose schedule is gone but not its results."""
    model_id = parse_parameter("model_id", model_id, fields.uuid)
    earlier_than = request.args.get("before")
    before = parse_parameter("before", earlier_than, fields.timestamp) if earlier_than else None
    return response.answer((model_id, before), lambda: _render(model_id, before))


@blueprint.get("/models/<model_id>/chart")
def chart(model_id: str) -> Response:
    """Show what the chart draws: for each run the moment (epoch ms), accuracy, samples, status and missed moments."""
    model_id = parse_parameter("model_id", model_id, fields.uuid)
    newest = backends().results.latest(model_id)  # with it, all pages that are open want another chart
    return response.answer(("chart", model_id, newest and newest.due_at), lambda: _drawn(model_id), "application/json")


def _drawn(model_id: str) -> Page:
    with backends().database.autocommit() as statements:
        whole = response.look(statements)
        known = details.find_details(statements, model_id)
    found = backends().results.newest(model_id, None, DRAWN)
    runs = _runs(known and known.schedule, found[::-1])
    drawn = [
        [
            epoch_milliseconds(run.result.due_at),
            run.result.accuracy,
            run.result.samples,
            STATUS_CODES[run.result.status],
            run.missed,
            *([run.result.error] if run.result.error else []),
        ]
        for run in runs
    ]
    return Page(json.dumps(drawn, separators=(",", ":")), whole.now)


def _render(model_id: str, before: datetime | None) -> Page:
    with backends().database.autocommit() as statements:
        whole = response.look(statements)
        known = details.find_details(statements, model_id)
    queue = whole.queue
    if queue is None:
        raise ServiceUnavailable("Redis, which has the results, does not answer at present; try again in a moment.")
    newest = backends().results.latest(model_id)
    if known is None and newest is None:
        raise NotFound(f"model {model_id} has neither a schedule nor a result")
    # One more than is shown: it says what was missed before the last one, and whether there is another page.
    found = backends().results.newest(model_id, before, LISTED + 1)
    runs = _runs(known and known.schedule, found[::-1])[::-1]
    listed = runs[: sum(result is not None for result in found[:LISTED])]
    schedule = known and serializers.schedule_details(known, newest, lambda: queue)
    detail = backends().results.latest_confusion(model_id)
    return response.rendered(
        "model.html",
        whole,
        model_id=model_id,
        schedule=schedule,
        state=known and schedule and state(schedule, known.schedule.last_run_at, newest, schedule["reason"], known.now),
        next_run_at=schedule and instant(schedule["next_run_at"]),
        run_requested_at=known and requested_run(known.schedule, newest),
        result=newest,
        runs=listed,
        following=_following(model_id, listed[-1]) if listed and len(found) > LISTED else None,
        before=before,
        detail=detail,
        labels_at=newest.data_timestamp if detail and newest and newest.due_at == detail.due_at else None,
        cells=detail and heat(detail.confusion.counts),
        latest=newest and iso(newest.due_at, "milliseconds"),
    )


def _following(model_id: str, last: Run) -> str:
    return url_for("model.model", model_id=model_id, before=iso(last.result.due_at, "milliseconds"))


def _runs(schedule: Schedule | None, results: Sequence[Result | None]) -> list[Run]:
    """Return results that can be read, the oldest first, each with what was missed since the one before.

    Only since the schedule is what it is: nobody knows what its cron was earlier.
    """
    runs = []
    before: Result | None = None
    for result in filter(None, results):
        missed = _missed(schedule, before.due_at, result.due_at) if schedule and before else 0
        runs.append(Run(result, missed))
        before = result
    return runs


def _missed(schedule: Schedule, after: datetime, before: datetime) -> int:
    if not schedule.enabled or after < schedule.active_since:
        return 0
    try:
        return count_fires(schedule.cron_expression, schedule.timezone, after, before - MILLISECOND)
    except (InvalidCron, InvalidTimeZone):
        return 0
