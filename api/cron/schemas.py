"""Request and response schemas of the cron endpoint."""

from typing import Annotated, Literal, NotRequired

from pydantic import Field, with_config
from typing_extensions import TypedDict

from api.contract import fields
from api.contract.response_fields import Timestamp, TimeZone
from api.problems import ScheduleRejected

DEFAULT_COUNT = 5
MAX_COUNT = 100


@with_config(extra="forbid")
class CronQuery(TypedDict):
    """Query parameters of GET /cron."""

    expression: fields.AnyCron
    timezone: NotRequired[Annotated[fields.AnyZone, fields.default("UTC")]]
    count: NotRequired[
        Annotated[
            int,
            fields.integer_up_to(MAX_COUNT),
            Field(description="Number of due times to preview.", examples=[DEFAULT_COUNT]),
            fields.default(DEFAULT_COUNT),
        ]
    ]


class DueTime(TypedDict):
    """A due time of a cron expression."""

    at: Annotated[Timestamp, Field(examples=["2026-11-24T11:00:00Z"])]
    local: Annotated[str, Field(description="The same in local time.", examples=["2026-11-24T12:00:00+01:00"])]
    daylight_saving: Annotated[
        Literal["moved", "merged"] | None,
        Field(
            description="Effect of a DST transition: a skipped local time moved, or several merged.", examples=[None]
        ),
    ]
    stands_for: Annotated[
        list[str], Field(description="The local times that it replaces, where not its own.", examples=[[]])
    ]


class CronError(TypedDict):
    """An error of the validation."""

    field: Annotated[str, Field(examples=["cron_expression"])]
    detail: Annotated[str, Field(examples=[ScheduleRejected.example])]
    hint: Annotated[str | None, Field(description="The remedy.", examples=["Write 5-59/15."])]


class CronPreview(TypedDict):
    """Validation, description and next due times of a cron expression."""

    cron_expression: Annotated[str, Field(description="In its stored form.", examples=["*/15 9-17 * * mon-fri"])]
    timezone: TimeZone
    valid: Annotated[bool, Field(description="Whether a schedule may have it.", examples=[True])]
    errors: Annotated[list[CronError], Field(description="Errors of the validation.", examples=[[]])]
    description: Annotated[
        str | None, Field(description="In words.", examples=["Every 15 minutes, between 09:00 and 17:59"])
    ]
    next_fires: list[DueTime]
