"""All schedules: listed page by page, saved many at once."""

import threading
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request, url_for
from pydantic import Field, with_config
from typing_extensions import TypedDict

from api.backends import backends
from api.contract import fields
from api.contract.field_errors import json_pointer, problem_with
from api.contract.operation import Operation, ResponseSpec, operation
from api.http.limits import MAX_BULK_REQUESTS
from api.problems import FieldError, ScheduleRejected
from api.schedules import queries, serializers
from api.schedules.listing import page as listing
from api.schedules.listing.cursor import Filters, ListedStatus
from api.schedules.queries import NewSchedule
from api.schedules.request_schemas import ScheduleCreate
from api.schedules.response_schemas import BulkResult, ScheduleResponse
from api.schedules.validation import explained

blueprint = Blueprint("collection", __name__)

DEFAULT_LIMIT = 100
MAX_LIMIT = 1000
MAX_SCHEDULES = 10_000  # in one call


@with_config(extra="forbid")
class Listed(TypedDict, total=False):
    """Which schedules to list."""

    cron: Annotated[fields.CronExpression, Field(description="Those with this cron expression.")]
    zone: Annotated[fields.TimeZone, Field(description="Those in this time zone.")]
    enabled: Annotated[fields.QueryBoolean, Field(description="Those that are enabled, or paused.", examples=[True])]
    status: Annotated[
        ListedStatus,
        Field(description="Those in this state; failing: their last result is not ok.", examples=["failing"]),
    ]
    search: Annotated[
        fields.Text,
        Field(description="Those whose name has this in it, or whose id begins with it.", examples=["churn"]),
    ]
    limit: Annotated[
        int,
        fields.integer_up_to(MAX_LIMIT),
        Field(description="How many on a page at most.", examples=[DEFAULT_LIMIT]),
        fields.default(DEFAULT_LIMIT),
    ]
    after: Annotated[
        str,
        Field(
            description="Where the page begins: take it from the Link of the one before, with the same filters.",
            json_schema_extra={"format": "cursor"},
        ),
    ]


@blueprint.get("/schedule")
@operation(
    Operation(
        {
            200: ResponseSpec(
                "A page of them. There may be more where it is short: only a page without Link is the last.",
                list[ScheduleResponse],
                {"Link": 'The address of the next page, rel="next"; none on the last one.'},
            )
        },
        query=Listed,
    )
)
def list_schedules(query: Listed) -> Response:
    """List schedules page by page; what is inserted meanwhile neither repeats nor hides any."""
    filters = Filters(
        query.get("cron"),
        query.get("zone"),
        query.get("enabled"),
        query.get("status"),
        query.get("search") or None,  # "" is in every name, and in that of a schedule that has none
    )
    limit = query.get("limit", DEFAULT_LIMIT)
    with backends().database.autocommit() as statements:
        page = listing.page(statements, lambda: backends().results, filters, query.get("after"), limit)
    answer = jsonify([serializers.schedule(schedule) for schedule in page.schedules])
    if page.following:
        parameters: dict[str, Any] = {**request.args, "after": page.following}
        following = url_for("collection.list_schedules", **parameters)
        answer.headers["Link"] = f'<{following}>; rel="next"'
    return answer


@blueprint.put("/schedule")
@operation(
    Operation(
        {200: ResponseSpec("All of them are saved.", BulkResult)},
        body=Annotated[list[ScheduleCreate], Field(max_length=MAX_SCHEDULES)],
        problems=[ScheduleRejected],
        concurrency_limit=threading.BoundedSemaphore(MAX_BULK_REQUESTS),
    )
)
def save_schedules(body: list[ScheduleCreate]) -> Response:
    """Create or replace up to 10,000 schedules, all or none; those of other models stay as they are."""
    wanted = [NewSchedule(**each) for each in body]
    _once_each(wanted)
    with explained(wanted, lambda place: (place,)), backends().database.transaction() as statements:
        created = queries.save(statements, wanted)
    answer: BulkResult = {"created": created, "replaced": len(wanted) - created}
    return jsonify(answer)


def _once_each(wanted: list[NewSchedule]) -> None:
    """Refuse a body that names a model twice: which of the two would count?"""
    places: dict[str, int] = {}
    faults = []
    for place, schedule in enumerate(wanted):
        first = places.setdefault(schedule.model_id, place)
        if first != place:
            detail = f"model_id {schedule.model_id} of number {place} is that of number {first} too; name it once"
            faults.append(FieldError(detail, json_pointer((place, "model_id"))))
    if faults:
        raise problem_with(faults)
