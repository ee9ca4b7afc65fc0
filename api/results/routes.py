"""The endpoints of results: the latest one, the latest of many models, the history of one."""

from typing import Any, cast

from flask import Blueprint, Response, jsonify, request, url_for

from api.backends import backends
from api.contract.conditional_get import ETAG_HEADER, IF_NONE_MATCH_HEADER, NOT_MODIFIED, make_conditional
from api.contract.operation import Operation, ResponseSpec, operation
from api.contract.pagination import DEFAULT_LIMIT, LINK_HEADER, set_next_link
from api.problems import NotFound
from api.results.schemas import HistoryQuery, LatestResults, LatestResultsQuery, ResultResponse
from core.results.models import Result
from core.timestamps import MILLISECOND, iso

blueprint = Blueprint("results", __name__)


@blueprint.get("/results")
@operation(
    Operation(
        {200: ResponseSpec("The results, and the models without one.", LatestResults, ETAG_HEADER), 304: NOT_MODIFIED},
        query=LatestResultsQuery,
        headers=IF_NONE_MATCH_HEADER,
    )
)
def latest_results(query: LatestResultsQuery) -> Response:
    """Get the latest results of up to 100 models."""
    model_ids = list(dict.fromkeys(query["model_id"]))
    latest = dict(zip(model_ids, backends().results.latest_of(model_ids), strict=True))
    body: LatestResults = {
        "results": [cast("ResultResponse", result.as_dict()) for result in latest.values() if result],
        "missing": [model_id for model_id, result in latest.items() if not result],
    }
    return make_conditional(jsonify(body))


@blueprint.get("/results/<model_id>")
@operation(
    Operation(
        {200: ResponseSpec("The latest result.", ResultResponse, ETAG_HEADER), 304: NOT_MODIFIED},
        headers=IF_NONE_MATCH_HEADER,
        problems=[NotFound],
    )
)
def latest_result(model_id: str) -> Response:
    """Get the latest result of a model, also after its schedule was deleted."""
    result = backends().results.latest(model_id)
    if result is None:
        raise NotFound(f"model {model_id} has no result yet; GET /schedule/{model_id} shows when it runs")
    return make_conditional(jsonify(result.as_dict()))


@blueprint.get("/results/<model_id>/history")
@operation(
    Operation(
        {
            200: ResponseSpec(
                "A page of results; empty for a model without any.", list[ResultResponse], ETAG_HEADER | LINK_HEADER
            ),
            304: NOT_MODIFIED._replace(headers=ETAG_HEADER | LINK_HEADER),
        },
        query=HistoryQuery,
        headers=IF_NONE_MATCH_HEADER,
    )
)
def history(model_id: str, query: HistoryQuery) -> Response:
    """List the results of a model by due time, page by page."""
    limit, newest_first = query.get("limit", DEFAULT_LIMIT), query.get("order", "desc") == "desc"
    results = backends().results.history(
        model_id, query.get("since"), query.get("before"), limit=limit + 1, newest_first=newest_first
    )
    response = jsonify([result.as_dict() for result in results[:limit]])
    if len(results) > limit:
        set_next_link(response, _next_page_url(model_id, results[limit - 1], newest_first))
    return make_conditional(response)


def _next_page_url(model_id: str, last: Result, newest_first: bool) -> str:
    """Return the address of the page after a result: due times are whole milliseconds."""
    name, bound = ("to", last.due_at) if newest_first else ("from", last.due_at + MILLISECOND)
    parameters: dict[str, Any] = {**request.args, name: iso(bound, "milliseconds")}
    return url_for("results.history", model_id=model_id, **parameters)
