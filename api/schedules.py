"""The schedules: create or replace, list, look at, delete."""

import json
from typing import Any

from flask import Blueprint, Response, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from api import store
from api.bodies import read_json
from api.parameters import is_text, number, parse_uuid
from api.problems import Invalid, NotFound
from api.services import services
from api.store import NewSchedule, Schedule
from scheduler.pairs import Pair, next_moment
from worker.results import iso

blueprint = Blueprint("schedules", __name__)

DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000
FIRST_UUID = "00000000-0000-0000-0000-000000000000"
TYPES: dict[str, tuple[type, ...]] = {
    "model_id": (str,),
    "cron_expression": (str,),
    "timezone": (str,),
    "enabled": (bool,),
    "name": (str, type(None)),
}
TYPE_NAMES = {"enabled": "true or false", "name": "a string or null"}


@blueprint.post("/schedule")
def save_schedule() -> ResponseReturnValue:
    """Create the model's schedule (201), or replace the one that it has (200)."""
    wanted = _new_schedule(read_json())
    with services().database.transaction() as statements:
        created = store.save(statements, wanted)
        schedule = store.find(statements, wanted.model_id)
    assert schedule is not None
    answer = jsonify(_shown(schedule))
    answer.status_code = 201 if created else 200
    answer.headers["Location"] = url_for("schedules.get_schedule", model_id=schedule.model_id)
    return answer


@blueprint.get("/schedule")
def list_schedules() -> Response:
    """List schedules in the order of model_id; a Link header leads to the next page."""
    limit = number("limit", DEFAULT_LIMIT, LARGEST_LIMIT)
    after = parse_uuid("after", request.args.get("after", FIRST_UUID))
    with services().database.transaction() as statements:
        found = store.page(statements, after, limit + 1)
    answer = jsonify([_shown(schedule) for schedule in found[:limit]])
    if len(found) > limit:
        following = url_for("schedules.list_schedules", limit=limit, after=found[limit - 1].model_id)
        answer.headers["Link"] = f'<{following}>; rel="next"'
    return answer


@blueprint.get("/schedule/<model_id>")
def get_schedule(model_id: str) -> Response:
    """Show one schedule."""
    model_id = parse_uuid("model_id", model_id)
    with services().database.transaction() as statements:
        schedule = store.find(statements, model_id)
    if schedule is None:
        raise NotFound(f"model {model_id} has no schedule")
    return jsonify(_shown(schedule))


@blueprint.delete("/schedule/<model_id>")
def delete_schedule(model_id: str) -> ResponseReturnValue:
    """Delete one schedule; the model's results stay."""
    model_id = parse_uuid("model_id", model_id)
    with services().database.transaction() as statements:
        deleted = store.delete(statements, model_id)
    if not deleted:
        raise NotFound(f"model {model_id} has no schedule")
    return "", 204


def _new_schedule(body: Any) -> NewSchedule:
    """Check the form of the body; what cron expressions and time zones mean is for the database to judge."""
    if not isinstance(body, dict):
        raise Invalid('the body is not a JSON object; write {"model_id": …, "cron_expression": …}')
    for field in ("model_id", "cron_expression"):
        if field not in body:
            raise Invalid(f"{field} is missing; it is required")
    for field, value in body.items():
        if field not in TYPES:
            raise Invalid(f'"{field[:80]}" is not a field of a schedule; there are {", ".join(TYPES)}')
        if not isinstance(value, TYPES[field]):
            raise Invalid(f"{field} is {json.dumps(value)[:80]}; write {TYPE_NAMES.get(field, 'a string')}")
        if isinstance(value, str) and not is_text(value):
            raise Invalid(f"{field} is {json.dumps(value)[:80]}, which holds characters that PostgreSQL cannot store")
    return NewSchedule(**{**body, "model_id": parse_uuid("model_id", body["model_id"])})


def _shown(schedule: Schedule) -> dict[str, Any]:
    status, next_run_at, error = schedule.status, schedule.next_run_at, schedule.error
    if next_run_at is None and error is None and schedule.enabled:
        # The scheduler has not come round to it yet, and will count from then.
        pair = Pair(schedule.cron_expression, schedule.timezone)
        _, next_run_at, error = next_moment(pair, schedule.active_since)
        status = "error" if error else status
    return {
        "model_id": schedule.model_id,
        "name": schedule.name,
        "cron_expression": schedule.cron_expression,
        "timezone": schedule.timezone,
        "enabled": schedule.enabled,
        "status": status,
        "next_run_at": next_run_at and iso(next_run_at),
        "last_run_at": schedule.last_run_at and iso(schedule.last_run_at),
        "error": error,
        "created_at": iso(schedule.created_at),
        "updated_at": iso(schedule.updated_at),
    }
