"""The results of a model."""

from flask import Blueprint, Response, jsonify

from api.parameters import parse_uuid
from api.problems import NotFound
from api.services import services

blueprint = Blueprint("results", __name__)


@blueprint.get("/results/<model_id>")
def latest_result(model_id: str) -> Response:
    """Show the latest result, also of a model whose schedule is gone."""
    model_id = parse_uuid("model_id", model_id)
    result = services().results.latest(model_id)
    if result is None:
        raise NotFound(f"model {model_id} has no result yet; its schedule says when it runs: GET /schedule/{model_id}")
    return jsonify(result.as_dict())
