"""Request bodies of the schedule endpoints."""

from typing import Annotated, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from api.contract import fields
from api.contract.fields import default


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
