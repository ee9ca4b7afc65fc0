"""Response schemas of the schedule endpoints."""

from typing import Annotated

from pydantic import Field
from typing_extensions import TypedDict

from api.contract.response_fields import CronExpression, ModelId, Timestamp, TimeZone
from api.cron.schemas import DueTime
from api.results.schemas import ResultResponse
from api.schedules.queries import ScheduleStatus
from api.status.schemas import FireResponse


class ScheduleResponse(TypedDict):
    """A schedule."""

    model_id: ModelId
    name: Annotated[str | None, Field(description="Display name of the model.", examples=["churn, weekly"])]
    cron_expression: CronExpression
    timezone: TimeZone
    enabled: Annotated[bool, Field(description="False: paused.", examples=[True])]
    status: Annotated[
        ScheduleStatus,
        Field(
            description="new: not read by the scheduler yet; late: its due time has passed; error: see error.",
            examples=["scheduled"],
        ),
    ]
    next_run_at: Annotated[Timestamp | None, Field(description="The next due time; null when paused or in error.")]
    last_run_at: Annotated[
        Timestamp | None, Field(description="The last due time that was published since the last change.")
    ]
    error: Annotated[str | None, Field(description="Why the scheduler cannot run it.", examples=[None])]
    created_at: Annotated[Timestamp, Field(description="When it was created.")]
    updated_at: Annotated[Timestamp, Field(description="When a user last changed it.")]


class ScheduleDetails(ScheduleResponse):
    """A schedule with its next due times, last fire and last result."""

    description: Annotated[
        str | None,
        Field(description="The expression in words.", examples=["Every 15 minutes, between 09:00 and 17:59"]),
    ]
    next_fires: Annotated[list[DueTime], Field(description="The next five; none when paused or in error.")]
    last_fire: FireResponse | None
    last_result: ResultResponse | None
    reason: Annotated[
        str | None,
        Field(
            description="Why it did not run, or has no result of the last due time; null when all is well.",
            examples=[None],
        ),
    ]


class RunRequested(TypedDict):
    """A requested run."""

    model_id: ModelId
    due_at: Annotated[Timestamp, Field(description="The due time of its result.")]


class BulkResult(TypedDict):
    """The outcome of a bulk request."""

    created: Annotated[int, Field(description="Number of new schedules.", examples=[9000])]
    replaced: Annotated[int, Field(description="Number of replaced schedules.", examples=[1000])]
