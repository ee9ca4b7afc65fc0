"""What the API answers of its own health and the system's, field by field."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.contract.response_fields import CronExpression, Timestamp, TimeZone


class Healthy(TypedDict):
    """All is well."""

    status: Literal["ok"]


class LeaderResponse(TypedDict):
    """The scheduler that leads, or led."""

    name: Annotated[
        str | None, Field(description="Host and process; null before the first one.", examples=["scheduler-1:7"])
    ]
    since: Timestamp | None
    looked_at: Annotated[Timestamp | None, Field(description="When it last looked for due models.")]
    error: Annotated[str | None, Field(description="What keeps it from sending.", examples=[None])]


class LateCronSpec(TypedDict):
    """A pair of cron expression and time zone whose moment has passed."""

    cron_expression: CronExpression
    timezone: TimeZone
    due_at: Timestamp


class FailingCronSpec(TypedDict):
    """A pair of cron expression and time zone that cannot run."""

    cron_expression: CronExpression
    timezone: TimeZone
    error: Annotated[str, Field(description="Why.", examples=["the time zone is unknown to this scheduler"])]


class LateCronSpecs(TypedDict):
    """How many are late, and the oldest of them."""

    count: Annotated[int, Field(description="All of them.", examples=[0])]
    pairs: Annotated[list[LateCronSpec], Field(description="At most five.", examples=[[]])]


class FailingCronSpecs(TypedDict):
    """How many cannot run, and the first of them."""

    count: Annotated[int, Field(description="All of them.", examples=[0])]
    pairs: Annotated[list[FailingCronSpec], Field(description="At most five.", examples=[[]])]


class QueueResponse(TypedDict):
    """What waits for the workers, and what they have taken."""

    messages: Annotated[int, Field(description="Batches that wait.", examples=[3])]
    oldest_queued_at: Annotated[Timestamp | None, Field(description="Since when the next one waits.")]
    taken: Annotated[int, Field(description="Batches that are being worked on.", examples=[2])]
    oldest_taken_at: Annotated[Timestamp | None, Field(description="Since when the oldest of them is.")]


class FireResponse(TypedDict):
    """The publishing of all models that were due at one due time."""

    due_at: Timestamp
    lag_seconds: Annotated[float | None, Field(description="Delay until publishing began.", examples=[0.006])]
    duration_seconds: Annotated[float | None, Field(description="Duration of publishing.", examples=[0.014])]
    models: Annotated[int, Field(description="Number of models that were due.", examples=[1000])]
    skipped: Annotated[
        int, Field(description="Missed due times, of all crons, that it stands for after an outage.", examples=[0])
    ]


class SystemFire(FireResponse):
    """The last sending of all."""

    crons: Annotated[int, Field(description="Pairs of cron expression and time zone that were due.", examples=[12])]
    messages: Annotated[int, Field(description="Messages to the workers.", examples=[10])]


class SystemStatus(TypedDict):
    """The whole system."""

    status: Literal["ok", "failing"]
    problems: Annotated[list[str], Field(description="What is wrong, in words.", examples=[[]])]
    leader: LeaderResponse
    late: LateCronSpecs
    errors: FailingCronSpecs
    queue: Annotated[QueueResponse | None, Field(description="Null where Redis does not answer.")]
    last_fire: SystemFire | None
