"""Request and response schemas of the result endpoints."""

from typing import Annotated, Literal

from pydantic import Field, with_config
from typing_extensions import TypedDict

from api.contract import fields
from api.contract.pagination import Limit
from api.contract.response_fields import ModelId, Timestamp
from core.results.models import Status

MAX_MODELS = 100  # in one request


@with_config(extra="forbid")
class LatestResultsQuery(TypedDict):
    """Query parameters of GET /results."""

    model_id: Annotated[
        list[fields.ModelId],
        Field(min_length=1, max_length=MAX_MODELS, description="Once for each model.", examples=[[fields.MODEL_ID]]),
    ]


@with_config(extra="forbid")
class HistoryQuery(TypedDict, total=False):
    """Query parameters of GET /results/<model_id>/history."""

    since: Annotated[
        fields.Timestamp,
        Field(alias="from", description="The earliest due time, inclusive.", examples=["2026-11-01T00:00:00Z"]),
    ]
    before: Annotated[
        fields.Timestamp,
        Field(alias="to", description="The latest due time, exclusive.", examples=["2026-12-01T00:00:00Z"]),
    ]
    limit: Limit
    order: Annotated[
        Literal["desc", "asc"],
        Field(description="desc: newest first.", examples=["desc"]),
        fields.default("desc"),
    ]


class MetricsResponse(TypedDict):
    """The metrics of a label row."""

    accuracy: Annotated[float | None, Field(description="From 0 to 1; null where undefined.", examples=[0.953])]


class ResultResponse(TypedDict):
    """The outcome of one run of a model."""

    model_id: ModelId
    due_at: Annotated[Timestamp, Field(description="Due time; with model_id, the identity of the result.")]
    calculated_at: Annotated[Timestamp, Field(description="When the label row was read, or found to be unchanged.")]
    status: Annotated[
        Status, Field(description="no_data: no label row, or no labels; error: see error.", examples=["ok"])
    ]
    metrics: MetricsResponse
    samples: Annotated[int, Field(description="Number of labels that were compared.", examples=[150])]
    result_id: Annotated[int | None, Field(description="The label row: results.id.", examples=[8])]
    data_timestamp: Annotated[Timestamp | None, Field(description="The timestamp of the label row.")]
    error: Annotated[str | None, Field(description="Why there are no metrics.", examples=[None])]
    unchanged: Annotated[
        bool,
        Field(description="The label row and the metrics are those of the result before.", examples=[False]),
    ]


class LatestResults(TypedDict):
    """The latest results of several models."""

    results: Annotated[list[ResultResponse], Field(description="In the order of the request.")]
    missing: Annotated[list[ModelId], Field(description="Models without a result.")]
