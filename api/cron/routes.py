"""Trying a cron expression: is it valid, what does it mean, when would it fire?"""

from datetime import datetime
from functools import lru_cache

from flask import Blueprint, Response, jsonify

from api.backends import backends
from api.contract.operation import Operation, ResponseSpec, operation
from api.cron.schemas import DEFAULT_COUNT, CronError, CronPreview, CronQuery, DueTime
from api.schedules import queries
from core.cron.description import describe
from core.cron.occurrences import InvalidCron, InvalidTimeZone
from core.cron.preview import Occurrence, next_occurrences
from core.timestamps import iso

blueprint = Blueprint("cron", __name__)


@blueprint.get("/cron")
@operation(Operation({200: ResponseSpec("What the gate says of it.", CronPreview)}, query=CronQuery))
def try_cron(query: CronQuery) -> Response:
    """Say what the gate says of an expression and a time zone, and when they would fire from now on."""
    expression, timezone = query["expression"], query.get("timezone", "UTC")
    with backends().database.autocommit() as statements:
        judgement = queries.judge(statements, expression, timezone)
    errors: list[CronError] = [_refusal(*error) for error in judgement.errors]
    fires: list[DueTime] = []
    if not errors:
        count = query.get("count", DEFAULT_COUNT)
        fires, errors = _preview(judgement.cron_expression, timezone, judgement.now, count)
    answer: CronPreview = {
        "cron_expression": judgement.cron_expression,
        "timezone": timezone,
        "valid": not errors,
        "errors": errors,
        "description": None if errors else words(judgement.cron_expression),
        "next_fires": fires,
    }
    return jsonify(answer)


@lru_cache(16_384)
def words(expression: str) -> str | None:
    """Return what an expression means; None where it got past the gate and means nothing."""
    try:
        return describe(expression)
    except InvalidCron:
        return None


@lru_cache(8_192)
def next_five(expression: str, timezone: str, after: datetime) -> tuple[DueTime, ...]:
    """Return the next fires of a pair, as the API shows them; those that there are."""
    found, _ = _preview(expression, timezone, after, DEFAULT_COUNT)
    return tuple(found)


def _preview(expression: str, timezone: str, now: datetime, count: int) -> tuple[list[DueTime], list[CronError]]:
    """Return the fires there are, or what keeps the scheduler from firing what the gate takes."""
    found: list[DueTime] = []
    try:
        found += map(_shown, next_occurrences(expression, timezone, now, count))
    except (InvalidCron, InvalidTimeZone) as error:
        if not found:
            field = "timezone" if isinstance(error, InvalidTimeZone) else "cron_expression"
            return [], [_refusal(field, str(error), None)]
    return found, []


def _refusal(field: str, detail: str, hint: str | None) -> CronError:
    return {"field": field, "detail": detail, "hint": hint}


def _shown(fire: Occurrence) -> DueTime:
    return {
        "at": iso(fire.at),
        "local": fire.local.isoformat(),
        "daylight_saving": fire.daylight_saving,
        "stands_for": [named.isoformat() for named in fire.stands_for],
    }
