"""The results of models: the latest, the latest of many, the history of one."""

from datetime import timedelta
from typing import Any, cast

from flask import Blueprint, Response, jsonify, request, url_for

from api.backends import backends
from api.contract.operation import Operation, ResponseSpec, operation
from api.problems import NotFound
from api.results.schemas import DEFAULT_LIMIT, HistoryQuery, LatestResults, LatestResultsQuery, ResultResponse
from api.schedules import etags
from api.schedules.etags import NONE_MATCH, TAG, UNCHANGED
from core.results.models import Result
from core.timestamps import iso

blueprint = Blueprint("results", __name__)

LINK = {"Link": 'The address of the next page, rel="next"; none on the last one.'}


@blueprint.get("/results")
@operation(
    Operation(
        {200: ResponseSpec("Those that there are.", LatestResults, TAG), 304: UNCHANGED},
        query=LatestResultsQuery,
        headers=NONE_MATCH,
    )
)
def latest_results(query: LatestResultsQuery) -> Response:
    """Show the latest results of up to 100 models."""
    model_ids = list(dict.fromkeys(query["model_id"]))
    found = dict(zip(model_ids, backends().results.latest_of(model_ids), strict=True))
    answer: LatestResults = {
        "results": [cast("ResultResponse", result.as_dict()) for result in found.values() if result],
        "missing": [model_id for model_id, result in found.items() if not result],
    }
    return etags.cacheable(jsonify(answer))


@blueprint.get("/results/<model_id>")
@operation(
    Operation(
        {200: ResponseSpec("It is there.", ResultResponse, TAG), 304: UNCHANGED},
        headers=NONE_MATCH,
        problems=[NotFound],
    )
)
def latest_result(model_id: str) -> Response:
    """Show the latest result, also of a model whose schedule is gone."""
    result = backends().results.latest(model_id)
    if result is None:
        raise NotFound(f"model {model_id} has no result yet; its schedule says when it runs: GET /schedule/{model_id}")
    return etags.cacheable(jsonify(result.as_dict()))


@blueprint.get("/results/<model_id>/history")
@operation(
    Operation(
        {
            200: ResponseSpec("A page of them; none for a model without results.", list[ResultResponse], TAG | LINK),
            304: UNCHANGED._replace(headers=TAG | LINK),
        },
        query=HistoryQuery,
        headers=NONE_MATCH,
    )
)
def history(model_id: str, query: HistoryQuery) -> Response:
    """Show the results of a model, moment by moment."""
    limit, newest_first = query.get("limit", DEFAULT_LIMIT), query.get("order", "desc") == "desc"
    found = backends().results.history(
        model_id, query.get("since"), query.get("before"), limit=limit + 1, newest_first=newest_first
    )
    answer = jsonify([result.as_dict() for result in found[:limit]])
    if len(found) > limit:
        answer.headers["Link"] = f'<{_following(model_id, found[limit - 1], newest_first)}>; rel="next"'
    return etags.cacheable(answer)


def _following(model_id: str, last: Result, newest_first: bool) -> str:
    """Return the address of what comes behind a result: moments are milliseconds apart."""
    name, instant = ("to", last.due_at) if newest_first else ("from", last.due_at + timedelta(milliseconds=1))
    parameters: dict[str, Any] = {**request.args, name: iso(instant, "milliseconds")}
    return url_for("results.history", model_id=model_id, **parameters)
