"""Request schemas of the schedule endpoints."""

from typing import Annotated, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from api.contract import fields
from api.contract.fields import default
from api.contract.pagination import Limit
from api.schedules.listing.cursor import ListedStatus


@with_config(extra="forbid")
class ScheduleFields(TypedDict):
    """The fields of a schedule; a missing one has its default."""

    cron_expression: fields.CronExpression
    timezone: NotRequired[Annotated[fields.TimeZone, default("UTC")]]
    enabled: NotRequired[Annotated[fields.Enabled, default(True)]]
    name: NotRequired[Annotated[fields.Name, default(None)]]


class ScheduleCreate(ScheduleFields):
    """The schedule of a model."""

    model_id: fields.ModelId


class ScheduleReplace(ScheduleFields):
    """The schedule of the model in the path; model_id may be repeated."""

    model_id: NotRequired[fields.ModelId]


@with_config(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})
class SchedulePatch(TypedDict, total=False):
    """Changes of a schedule; a missing field stays as it is."""

    cron_expression: fields.CronExpression
    timezone: fields.TimeZone
    enabled: fields.Enabled
    name: fields.Name


@with_config(extra="forbid")
class ScheduleListQuery(TypedDict, total=False):
    """Query parameters of GET /schedule."""

    cron: Annotated[fields.CronExpression, Field(description="Those with this cron expression.")]
    zone: Annotated[fields.TimeZone, Field(description="Those in this time zone.")]
    enabled: Annotated[fields.QueryBoolean, Field(description="Those that are enabled, or paused.", examples=[True])]
    status: Annotated[
        ListedStatus,
        Field(description="Those with this status; failing: their last result is not ok.", examples=["failing"]),
    ]
    search: Annotated[
        fields.Text,
        Field(description="Those whose name contains this text, or whose id begins with it.", examples=["churn"]),
    ]
    limit: Limit
    after: Annotated[
        str,
        Field(
            description="Cursor of the page, from the Link of the page before, with the same filters.",
            json_schema_extra={"format": "cursor"},
        ),
    ]
