"""Response schemas of the health endpoints."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.contract.response_fields import CronExpression, Timestamp, TimeZone


class Healthy(TypedDict):
    """No problem."""

    status: Literal["ok"]


class LeaderResponse(TypedDict):
    """The scheduler that leads, or led last."""

    name: Annotated[
        str | None, Field(description="Host and process; null before the first one.", examples=["scheduler-1:7"])
    ]
    since: Timestamp | None
    looked_at: Annotated[Timestamp | None, Field(description="Its last heartbeat.")]
    error: Annotated[str | None, Field(description="What keeps it from publishing.", examples=[None])]


class LateCronSpec(TypedDict):
    """A pair of cron expression and time zone whose due time has passed."""

    cron_expression: CronExpression
    timezone: TimeZone
    due_at: Timestamp


class FailingCronSpec(TypedDict):
    """A pair of cron expression and time zone that cannot run."""

    cron_expression: CronExpression
    timezone: TimeZone
    error: Annotated[str, Field(description="The reason.", examples=["the time zone is unknown to this scheduler"])]


class LateCronSpecs(TypedDict):
    """The number of late pairs of cron expression and time zone, and the oldest of them."""

    count: Annotated[int, Field(description="Their number.", examples=[0])]
    pairs: Annotated[list[LateCronSpec], Field(description="At most five.", examples=[[]])]


class FailingCronSpecs(TypedDict):
    """The number of pairs of cron expression and time zone that cannot run, and the first of them."""

    count: Annotated[int, Field(description="Their number.", examples=[0])]
    pairs: Annotated[list[FailingCronSpec], Field(description="At most five.", examples=[[]])]


class QueueResponse(TypedDict):
    """Messages that wait for the workers, and those taken and not finished."""

    messages: Annotated[int, Field(description="Messages that wait.", examples=[3])]
    oldest_queued_at: Annotated[Timestamp | None, Field(description="When the next one was sent.")]
    taken: Annotated[int, Field(description="Messages that workers are processing.", examples=[2])]
    oldest_taken_at: Annotated[Timestamp | None, Field(description="When the oldest of them was taken.")]


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
    """The last fire of the system."""

    crons: Annotated[int, Field(description="Pairs of cron expression and time zone that were due.", examples=[12])]
    messages: Annotated[int, Field(description="Messages to the workers.", examples=[10])]


class SystemStatus(TypedDict):
    """Status of the whole system."""

    status: Literal["ok", "failing"]
    problems: Annotated[list[str], Field(description="Problems, for an operator.", examples=[[]])]
    leader: LeaderResponse
    late: LateCronSpecs
    errors: FailingCronSpecs
    queue: Annotated[QueueResponse | None, Field(description="Null where Redis is unavailable.")]
    last_fire: SystemFire | None
