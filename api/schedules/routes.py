"""One schedule: create, replace, change, look at, run, delete."""

from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from api.backends import backends
from api.contract.operation import Operation, ResponseSpec, operation
from api.problems import FieldError, InvalidRequest, NotFound, PreconditionFailed, ScheduleRejected
from api.schedules import details, etags, queries, serializers
from api.schedules.queries import NewSchedule, Schedule
from api.schedules.request_schemas import ScheduleCreate, SchedulePatch, ScheduleReplace
from api.schedules.response_schemas import RunRequested, ScheduleDetails, ScheduleResponse
from api.schedules.validation import explained
from api.status import snapshot
from core.timestamps import iso

blueprint = Blueprint("schedules", __name__)

TAG = {"ETag": "Of what users can change; for If-Match."}
MATCH = {"If-Match": "Do it only if the schedule still has this ETag; 412 otherwise."}
CREATE_ONLY = {"If-None-Match": "With *: do it only if there is no schedule; 412 otherwise."}
SAVED = {
    201: ResponseSpec("It is new.", ScheduleResponse, TAG | {"Location": "Its address."}),
    200: ResponseSpec("The model had one, which is replaced.", ScheduleResponse, TAG | {"Location": "Its address."}),
}


@blueprint.post("/schedule")
@operation(
    Operation(SAVED, body=ScheduleCreate, headers=MATCH | CREATE_ONLY, problems=[ScheduleRejected, PreconditionFailed])
)
def create_or_replace_schedule(body: ScheduleCreate) -> ResponseReturnValue:
    """Create the model's schedule, or replace the one that it has."""
    return _save(NewSchedule(**body))


@blueprint.put("/schedule/<model_id>")
@operation(
    Operation(SAVED, body=ScheduleReplace, headers=MATCH | CREATE_ONLY, problems=[ScheduleRejected, PreconditionFailed])
)
def put_schedule(model_id: str, body: ScheduleReplace) -> ResponseReturnValue:
    """Create the model's schedule, or replace the one that it has; a second time changes nothing."""
    if body.get("model_id", model_id) != model_id:
        detail = f"model_id is {body['model_id']}, and the address says {model_id}; leave it out, or write the same"
        raise InvalidRequest(detail, FieldError(detail, "#/model_id"))
    values: dict[str, Any] = {**body, "model_id": model_id}
    return _save(NewSchedule(**values))


@blueprint.patch("/schedule/<model_id>")
@operation(
    Operation(
        {200: ResponseSpec("It is changed.", ScheduleResponse, TAG)},
        body=SchedulePatch,
        headers=MATCH,
        problems=[NotFound, ScheduleRejected, PreconditionFailed],
    )
)
def change_schedule(model_id: str, body: SchedulePatch) -> Response:
    """SchedulePatch what the body names: pause by enabled false, resume by true."""
    wanted: list[NewSchedule] = []
    with explained(wanted, lambda _: ()), backends().database.transaction() as statements:
        found = queries.lock(statements, model_id)
        etags.require(found)
        if found is None:
            raise _no_schedule(model_id)
        kept: dict[str, Any] = {name: getattr(found, name) for name in NewSchedule._fields}
        wanted.append(NewSchedule(**{**kept, **body}))
        queries.change(statements, *wanted)
        schedule = queries.find(statements, model_id)
    assert schedule is not None
    return _answer(schedule)


@blueprint.get("/schedule/<model_id>")
@operation(Operation({200: ResponseSpec("It is there.", ScheduleDetails, TAG)}, problems=[NotFound]))
def get_schedule(model_id: str) -> Response:
    """Show one schedule: its next five fires, its last fire and result, and why it did not fire where it did not."""
    with backends().database.autocommit() as statements:
        found = details.find(statements, model_id)
    if found is None:
        raise _no_schedule(model_id)
    result = backends().results.latest(model_id)
    answer = serializers.details(found, result, lambda: snapshot.queue(backends().redis))
    return _tagged(jsonify(answer), found.schedule)


@blueprint.delete("/schedule/<model_id>")
@operation(Operation({204: ResponseSpec("It is gone.")}, headers=MATCH, problems=[NotFound, PreconditionFailed]))
def delete_schedule(model_id: str) -> ResponseReturnValue:
    """Delete one schedule; the model's results stay."""
    with backends().database.transaction() as statements:
        found = queries.lock(statements, model_id)
        etags.require(found)
        if found is None:
            raise _no_schedule(model_id)
        queries.delete(statements, model_id)
    return "", 204


@blueprint.post("/schedule/<model_id>/run")
@operation(
    Operation(
        {202: ResponseSpec("It will run at once.", RunRequested, {"Location": "Where its result will be."})},
        problems=[NotFound],
    )
)
def run_now(model_id: str) -> ResponseReturnValue:
    """Run the model now, paused or not, beside its cron.

    Its result has the due_at of the response. Requests that the scheduler has not taken over yet are one.
    """
    with backends().database.transaction() as statements:
        due_at = queries.run(statements, model_id)
    if due_at is None:
        raise _no_schedule(model_id)
    answer: RunRequested = {"model_id": model_id, "due_at": iso(due_at, "milliseconds")}
    return jsonify(answer), 202, {"Location": url_for("results.latest_result", model_id=model_id)}


def _save(wanted: NewSchedule) -> Response:
    with explained([wanted], lambda _: ()), backends().database.transaction() as statements:
        conditional = "If-Match" in request.headers or "If-None-Match" in request.headers
        found = queries.lock(statements, wanted.model_id) if conditional else None
        if conditional:
            etags.require(found)
        created = queries.save(statements, [wanted])
        if conditional and not (found or created):  # what is not there yet cannot be locked
            raise PreconditionFailed(f"model {wanted.model_id} was given a schedule at the same time; get it")
        schedule = queries.find(statements, wanted.model_id)
    assert schedule is not None
    answer = _answer(schedule)
    answer.status_code = 201 if created else 200
    answer.headers["Location"] = url_for("schedules.get_schedule", model_id=schedule.model_id)
    return answer


def _answer(schedule: Schedule) -> Response:
    return _tagged(jsonify(serializers.schedule(schedule)), schedule)


def _tagged(answer: Response, schedule: Schedule) -> Response:
    answer.set_etag(etags.of_schedule(schedule))
    return answer


def _no_schedule(model_id: str) -> NotFound:
    return NotFound(f"model {model_id} has no schedule; POST /schedule makes one")
