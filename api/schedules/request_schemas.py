"""What callers write about schedules."""

from typing import Annotated, NotRequired

from pydantic import with_config
from typing_extensions import TypedDict

from api.contract import fields
from api.contract.fields import default


@with_config(extra="forbid")
class Wanted(TypedDict):
    """What a model's schedule is to be; what is left out takes its default."""

    cron_expression: fields.CronExpression
    timezone: NotRequired[Annotated[fields.TimeZone, default("UTC")]]
    enabled: NotRequired[Annotated[fields.Enabled, default(True)]]
    name: NotRequired[Annotated[fields.Name, default(None)]]


class WantedOf(Wanted):
    """The same, with the model."""

    model_id: fields.ModelId


class WantedAt(Wanted):
    """The same, where the address names the model; the body may name it too."""

    model_id: NotRequired[fields.ModelId]


@with_config(extra="forbid", json_schema_extra={"examples": [{"enabled": False}]})
class Change(TypedDict, total=False):
    """What is to change of a schedule; what is left out stays."""

    cron_expression: fields.CronExpression
    timezone: fields.TimeZone
    enabled: fields.Enabled
    name: fields.Name
