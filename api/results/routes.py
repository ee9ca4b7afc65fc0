"""The results of models: the latest, the latest of many, the history of one."""

from datetime import timedelta
from typing import Annotated, Any, Literal, cast

from flask import Blueprint, Response, jsonify, request, url_for
from pydantic import Field, with_config
from typing_extensions import TypedDict

from api.backends import services
from api.contract import fields
from api.contract.operation import Answer, Operation, operation
from api.contract.responses import LatestResults, ShownResult
from api.problems import NotFound
from api.schedules import etags
from api.schedules.etags import NONE_MATCH, TAG, UNCHANGED
from core.results.models import Result
from core.timestamps import iso

blueprint = Blueprint("results", __name__)

MOST_MODELS = 100  # in one call
DEFAULT_LIMIT = 100
LARGEST_LIMIT = 1000

LINK = {"Link": 'The address of the next page, rel="next"; none on the last one.'}


@with_config(extra="forbid")
class Models(TypedDict):
    """Whose latest results to show."""

    model_id: Annotated[
        list[fields.ModelId],
        Field(min_length=1, max_length=MOST_MODELS, description="Once for each model.", examples=[[fields.MODEL_ID]]),
    ]


@with_config(extra="forbid")
class Stretch(TypedDict, total=False):
    """Which results of a model to show."""

    since: Annotated[
        fields.Instant, Field(alias="from", description="The earliest moment.", examples=["2026-11-01T00:00:00Z"])
    ]
    before: Annotated[
        fields.Instant,
        Field(alias="to", description="The moment before which they are.", examples=["2026-12-01T00:00:00Z"]),
    ]
    limit: Annotated[
        int,
        fields.whole(LARGEST_LIMIT),
        Field(description="How many on a page at most.", examples=[DEFAULT_LIMIT]),
        fields.default(DEFAULT_LIMIT),
    ]
    order: Annotated[
        Literal["desc", "asc"],
        Field(description="desc: the newest first.", examples=["desc"]),
        fields.default("desc"),
    ]


@blueprint.get("/results")
@operation(
    Operation(
        {200: Answer("Those that there are.", LatestResults, TAG), 304: UNCHANGED}, query=Models, headers=NONE_MATCH
    )
)
def latest_results(query: Models) -> Response:
    """Show the latest results of up to 100 models."""
    model_ids = list(dict.fromkeys(query["model_id"]))
    found = dict(zip(model_ids, services().results.latest_of(model_ids), strict=True))
    answer: LatestResults = {
        "results": [cast("ShownResult", result.as_dict()) for result in found.values() if result],
        "missing": [model_id for model_id, result in found.items() if not result],
    }
    return etags.cacheable(jsonify(answer))


@blueprint.get("/results/<model_id>")
@operation(
    Operation({200: Answer("It is there.", ShownResult, TAG), 304: UNCHANGED}, headers=NONE_MATCH, problems=[NotFound])
)
def latest_result(model_id: str) -> Response:
    """Show the latest result, also of a model whose schedule is gone."""
    result = services().results.latest(model_id)
    if result is None:
        raise NotFound(f"model {model_id} has no result yet; its schedule says when it runs: GET /schedule/{model_id}")
    return etags.cacheable(jsonify(result.as_dict()))


@blueprint.get("/results/<model_id>/history")
@operation(
    Operation(
        {
            200: Answer("A page of them; none for a model without results.", list[ShownResult], TAG | LINK),
            304: UNCHANGED._replace(headers=TAG | LINK),
        },
        query=Stretch,
        headers=NONE_MATCH,
    )
)
def history(model_id: str, query: Stretch) -> Response:
    """Show the results of a model, moment by moment."""
    limit, newest_first = query.get("limit", DEFAULT_LIMIT), query.get("order", "desc") == "desc"
    found = services().results.history(
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
