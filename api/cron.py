"""Trying a cron expression: is it valid, what does it mean, when would it fire?"""

import json
from datetime import datetime
from typing import Any

from flask import Blueprint, Response, jsonify, request

from api import store
from api.description import describe
from api.parameters import is_text, number, only
from api.problems import Invalid
from api.services import services
from scheduler.cron import InvalidCron, InvalidTimeZone
from scheduler.preview import Fire, next_fires
from worker.results import iso

blueprint = Blueprint("cron", __name__)

PARAMETERS = ("expression", "timezone", "count")
DEFAULT_COUNT = 5
LARGEST_COUNT = 100


@blueprint.get("/cron")
def try_cron() -> Response:
    """Say what the gate says of an expression and a time zone, and when they would fire from now on."""
    only(PARAMETERS)
    expression, timezone = _text("expression"), _text("timezone", "UTC")
    count = number("count", DEFAULT_COUNT, LARGEST_COUNT)
    with services().database.transaction() as statements:
        judgement = store.judge(statements, expression, timezone)
    errors = [error._asdict() for error in judgement.errors]
    fires: list[dict[str, Any]] = []
    if not errors:
        fires, errors = _preview(judgement.cron_expression, timezone, judgement.now, count)
    return jsonify(
        cron_expression=judgement.cron_expression,
        timezone=timezone,
        valid=not errors,
        errors=errors,
        description=None if errors else describe(judgement.cron_expression),
        next_fires=fires,
    )


def _text(name: str, default: str | None = None) -> str:
    text = request.args.get(name, default)
    if text is None:
        raise Invalid(f"{name} is missing; write /cron?expression=*/15+*+*+*+*&timezone=Europe/Warsaw")
    if not is_text(text):
        raise Invalid(f"{name} is {json.dumps(text)[:80]}, which holds characters that PostgreSQL cannot store")
    return text


def _preview(
    expression: str, timezone: str, now: datetime, count: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Return the fires there are, or what keeps the scheduler from firing what the gate takes."""
    found: list[dict[str, Any]] = []
    try:
        found += map(_shown, next_fires(expression, timezone, now, count))
    except (InvalidCron, InvalidTimeZone) as error:
        if not found:
            field = "timezone" if isinstance(error, InvalidTimeZone) else "cron_expression"
            return [], [store.Refusal(field, str(error), None)._asdict()]
    return found, []


def _shown(fire: Fire) -> dict[str, Any]:
    return {
        "at": iso(fire.at),
        "local": fire.local.isoformat(),
        "daylight_saving": fire.daylight_saving,
        "stands_for": [named.isoformat() for named in fire.stands_for],
    }
