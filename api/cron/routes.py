"""The endpoint that validates and previews a cron expression."""

from flask import Blueprint, Response, jsonify

from api.backends import backends
from api.contract.operation import Operation, ResponseSpec, operation
from api.cron import queries
from api.cron.preview import description, preview
from api.cron.schemas import DEFAULT_COUNT, CronPreview, CronQuery, DueTime

blueprint = Blueprint("cron", __name__)


@blueprint.get("/cron")
@operation(Operation({200: ResponseSpec("The outcome of the validation.", CronPreview)}, query=CronQuery))
def try_cron(query: CronQuery) -> Response:
    """Validate a cron expression and a time zone, and list their next due times."""
    timezone = query.get("timezone", "UTC")
    with backends().database.autocommit() as cur:
        validation = queries.validate_cron(cur, query["expression"], timezone)
    expression, errors = validation.cron_expression, validation.errors
    due_times: list[DueTime] = []
    if not errors:
        due_times, errors = preview(expression, timezone, validation.now, query.get("count", DEFAULT_COUNT))
    body: CronPreview = {
        "cron_expression": expression,
        "timezone": timezone,
        "valid": not errors,
        "errors": errors,
        "description": None if errors else description(expression),
        "next_fires": due_times,
    }
    return jsonify(body)
