"""The endpoints of all schedules: the list, and saving many at once."""

import threading
from typing import Annotated, Any

from flask import Blueprint, Response, jsonify, request, url_for
from pydantic import Field

from api.backends import backends
from api.contract.field_errors import json_pointer, problem_with
from api.contract.operation import Operation, ResponseSpec, operation
from api.contract.pagination import DEFAULT_LIMIT, LINK_HEADER, set_next_link
from api.http.limits import MAX_BULK_REQUESTS
from api.problems import FieldError, ScheduleRejected
from api.schedules import queries
from api.schedules.listing.cursor import Filters
from api.schedules.listing.page import Search, read_page
from api.schedules.queries import NewSchedule
from api.schedules.request_schemas import ScheduleCreate, ScheduleListQuery
from api.schedules.response_schemas import BulkResult, ScheduleResponse
from api.schedules.serializers import schedule_response
from api.schedules.validation import translate_db_errors

blueprint = Blueprint("collection", __name__)

MAX_SCHEDULES = 10_000  # in one request


@blueprint.get("/schedule")
@operation(
    Operation(
        {
            200: ResponseSpec(
                "A page of schedules. More may follow a short page: only the last one has no Link.",
                list[ScheduleResponse],
                LINK_HEADER,
            )
        },
        query=ScheduleListQuery,
    )
)
def list_schedules(query: ScheduleListQuery) -> Response:
    """List schedules page by page; concurrent inserts neither repeat nor hide any."""
    filters = Filters(
        query.get("cron"),
        query.get("zone"),
        query.get("enabled"),
        query.get("status"),
        query.get("search") or None,  # "" is in every name, and matches a schedule without one
    )
    limit = query.get("limit", DEFAULT_LIMIT)
    with backends().database.autocommit() as cur:
        page = read_page(Search(cur, lambda: backends().results, filters), query.get("after"), limit)
    response = jsonify([schedule_response(schedule) for schedule in page.schedules])
    if page.next_cursor:
        parameters: dict[str, Any] = {**request.args, "after": page.next_cursor}
        set_next_link(response, url_for(".list_schedules", **parameters))
    return response


@blueprint.put("/schedule")
@operation(
    Operation(
        {200: ResponseSpec("All are saved.", BulkResult)},
        body=Annotated[list[ScheduleCreate], Field(max_length=MAX_SCHEDULES)],
        problems=[ScheduleRejected],
        concurrency_limit=threading.BoundedSemaphore(MAX_BULK_REQUESTS),
    )
)
def save_schedules(body: list[ScheduleCreate]) -> Response:
    """Create or replace up to 10,000 schedules, all or none; those of other models stay unchanged."""
    schedules = [NewSchedule(**item) for item in body]
    _reject_repeated_models(schedules)
    with translate_db_errors(schedules, lambda index: (index,)), backends().database.transaction() as cur:
        created = queries.save(cur, schedules)
    result: BulkResult = {"created": created, "replaced": len(schedules) - created}
    return jsonify(result)


def _reject_repeated_models(schedules: list[NewSchedule]) -> None:
    """Raise InvalidRequest if a model is there twice: it would be undefined which of its schedules is saved."""
    indexes: dict[str, int] = {}
    errors = []
    for index, schedule in enumerate(schedules):
        first = indexes.setdefault(schedule.model_id, index)
        if first != index:
            detail = f"model_id {schedule.model_id} of number {index} is that of number {first} too; name it once"
            errors.append(FieldError(detail, json_pointer((index, "model_id"))))
    if errors:
        raise problem_with(errors)
