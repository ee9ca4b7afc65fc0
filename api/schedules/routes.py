"""The endpoints of one schedule."""

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from api.backends import backends
from api.contract.operation import Operation, ResponseSpec, operation
from api.problems import FieldError, InvalidRequest, NotFound, PreconditionFailed, ScheduleRejected
from api.schedules import etags, queries
from api.schedules.collection_routes import blueprint as collection
from api.schedules.details import find_details
from api.schedules.queries import NewSchedule, Schedule
from api.schedules.request_schemas import ScheduleCreate, SchedulePatch, ScheduleReplace
from api.schedules.response_schemas import RunRequested, ScheduleDetails, ScheduleResponse
from api.schedules.serializers import schedule_details, schedule_response
from api.schedules.validation import translate_db_errors
from api.status.snapshot import read_queue
from core.timestamps import iso

blueprint = Blueprint("schedules", __name__)
blueprint.register_blueprint(collection)

ETAG = {"ETag": "Of what users can change; for If-Match."}
IF_MATCH = {"If-Match": "Proceed only if the schedule has this ETag; 412 otherwise."}
IF_NONE_MATCH = {"If-None-Match": "With *: proceed only if there is no schedule; 412 otherwise."}
SAVED_HEADERS = ETAG | {"Location": "Address of the schedule."}
SAVED = {
    201: ResponseSpec("The schedule is created.", ScheduleResponse, SAVED_HEADERS),
    200: ResponseSpec("The schedule of the model is replaced.", ScheduleResponse, SAVED_HEADERS),
}


@blueprint.post("/schedule")
@operation(
    Operation(
        SAVED,
        body=ScheduleCreate,
        headers=IF_MATCH | IF_NONE_MATCH,
        problems=[ScheduleRejected, PreconditionFailed],
    )
)
def create_or_replace_schedule(body: ScheduleCreate) -> ResponseReturnValue:
    """Create or replace the schedule of a model."""
    return _save(NewSchedule(**body))


@blueprint.put("/schedule/<model_id>")
@operation(
    Operation(
        SAVED,
        body=ScheduleReplace,
        headers=IF_MATCH | IF_NONE_MATCH,
        problems=[ScheduleRejected, PreconditionFailed],
    )
)
def put_schedule(model_id: str, body: ScheduleReplace) -> ResponseReturnValue:
    """Create or replace the schedule of a model; idempotent."""
    if body.get("model_id", model_id) != model_id:
        detail = f"model_id is {body['model_id']}, and the address says {model_id}; leave it out, or write the same"
        raise InvalidRequest(detail, FieldError(detail, "#/model_id"))
    values: dict[str, Any] = {**body, "model_id": model_id}
    return _save(NewSchedule(**values))


@blueprint.patch("/schedule/<model_id>")
@operation(
    Operation(
        {200: ResponseSpec("The schedule is changed.", ScheduleResponse, ETAG)},
        body=SchedulePatch,
        headers=IF_MATCH,
        problems=[NotFound, ScheduleRejected, PreconditionFailed],
    )
)
def change_schedule(model_id: str, body: SchedulePatch) -> Response:
    """Change the fields in the body: enabled false pauses the schedule, true resumes it."""
    rejectable: list[NewSchedule] = []
    with translate_db_errors(rejectable, lambda _: ()), backends().database.transaction() as cur:
        current = queries.lock(cur, model_id)
        etags.check_preconditions(current)
        if current is None:
            raise _no_schedule(model_id)
        values: dict[str, Any] = {name: getattr(current, name) for name in NewSchedule._fields}
        changed = NewSchedule(**{**values, **body})
        rejectable.append(changed)
        queries.update(cur, changed)
        schedule = queries.find(cur, model_id)
    assert schedule is not None
    return _schedule_response(schedule)


@blueprint.get("/schedule/<model_id>")
@operation(Operation({200: ResponseSpec("The schedule.", ScheduleDetails, ETAG)}, problems=[NotFound]))
def get_schedule(model_id: str) -> Response:
    """Get one schedule with its next five due times, its last fire and result, and why it did not run."""
    with backends().database.autocommit() as cur:
        details = find_details(cur, model_id)
    if details is None:
        raise _no_schedule(model_id)
    result = backends().results.latest(model_id)
    body = schedule_details(details, result, lambda: read_queue(backends().redis))
    return _with_etag(jsonify(body), details.schedule)


@blueprint.delete("/schedule/<model_id>")
@operation(
    Operation(
        {204: ResponseSpec("The schedule is deleted.")}, headers=IF_MATCH, problems=[NotFound, PreconditionFailed]
    )
)
def delete_schedule(model_id: str) -> ResponseReturnValue:
    """Delete one schedule; the results of the model stay."""
    with backends().database.transaction() as cur:
        schedule = queries.lock(cur, model_id)
        etags.check_preconditions(schedule)
        if schedule is None:
            raise _no_schedule(model_id)
        queries.delete(cur, model_id)
    return "", 204


@blueprint.post("/schedule/<model_id>/run")
@operation(
    Operation(
        {202: ResponseSpec("The run is requested.", RunRequested, {"Location": "Address of its result."})},
        problems=[NotFound],
    )
)
def run_now(model_id: str) -> ResponseReturnValue:
    """Run the model now, paused or not, in addition to its cron.

    Its result has the due_at of the response. Requests before the scheduler has read the first one count as one.
    """
    with backends().database.transaction() as cur:
        due_at = queries.request_run(cur, model_id)
    if due_at is None:
        raise _no_schedule(model_id)
    body: RunRequested = {"model_id": model_id, "due_at": iso(due_at, "milliseconds")}
    return jsonify(body), 202, {"Location": url_for("results.latest_result", model_id=model_id)}


def _save(new_schedule: NewSchedule) -> Response:
    model_id = new_schedule.model_id
    with translate_db_errors([new_schedule], lambda _: ()), backends().database.transaction() as cur:
        is_conditional = "If-Match" in request.headers or "If-None-Match" in request.headers
        current = queries.lock(cur, model_id) if is_conditional else None
        if is_conditional:
            etags.check_preconditions(current)
        created = queries.save(cur, [new_schedule])
        if is_conditional and not (current or created):  # a missing row cannot be locked
            raise PreconditionFailed(f"model {model_id} was given a schedule at the same time; get it")
        schedule = queries.find(cur, model_id)
    assert schedule is not None
    response = _schedule_response(schedule)
    response.status_code = 201 if created else 200
    response.headers["Location"] = url_for("schedules.get_schedule", model_id=model_id)
    return response


def _schedule_response(schedule: Schedule) -> Response:
    return _with_etag(jsonify(schedule_response(schedule)), schedule)


def _with_etag(response: Response, schedule: Schedule) -> Response:
    response.set_etag(etags.schedule_tag(schedule))
    return response


def _no_schedule(model_id: str) -> NotFound:
    return NotFound(f"model {model_id} has no schedule; POST /schedule makes one")
