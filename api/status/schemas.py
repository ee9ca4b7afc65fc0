"""What the API answers of its own health and the system's, field by field."""

from typing import Annotated, Literal

from pydantic import Field
from typing_extensions import TypedDict

from api.contract.responses import Expression, LastFire, Moment, Zone


class Healthy(TypedDict):
    """All is well."""

    status: Literal["ok"]


class ShownLeader(TypedDict):
    """The scheduler that leads, or led."""

    name: Annotated[
        str | None, Field(description="Host and process; null before the first one.", examples=["scheduler-1:7"])
    ]
    since: Moment | None
    looked_at: Annotated[Moment | None, Field(description="When it last looked for due models.")]
    error: Annotated[str | None, Field(description="What keeps it from sending.", examples=[None])]


class LatePair(TypedDict):
    """A pair of cron expression and time zone whose moment has passed."""

    cron_expression: Expression
    timezone: Zone
    due_at: Moment


class FailingPair(TypedDict):
    """A pair of cron expression and time zone that cannot run."""

    cron_expression: Expression
    timezone: Zone
    error: Annotated[str, Field(description="Why.", examples=["the time zone is unknown to this scheduler"])]


class LatePairs(TypedDict):
    """How many are late, and the oldest of them."""

    count: Annotated[int, Field(description="All of them.", examples=[0])]
    pairs: Annotated[list[LatePair], Field(description="At most five.", examples=[[]])]


class FailingPairs(TypedDict):
    """How many cannot run, and the first of them."""

    count: Annotated[int, Field(description="All of them.", examples=[0])]
    pairs: Annotated[list[FailingPair], Field(description="At most five.", examples=[[]])]


class ShownQueue(TypedDict):
    """What waits for the workers, and what they have taken."""

    messages: Annotated[int, Field(description="Batches that wait.", examples=[3])]
    oldest_queued_at: Annotated[Moment | None, Field(description="Since when the next one waits.")]
    taken: Annotated[int, Field(description="Batches that are being worked on.", examples=[2])]
    oldest_taken_at: Annotated[Moment | None, Field(description="Since when the oldest of them is.")]


class SystemFire(LastFire):
    """The last sending of all."""

    crons: Annotated[int, Field(description="Pairs of cron expression and time zone that were due.", examples=[12])]
    messages: Annotated[int, Field(description="Messages to the workers.", examples=[10])]


class SystemStatus(TypedDict):
    """The whole system."""

    status: Literal["ok", "failing"]
    problems: Annotated[list[str], Field(description="What is wrong, in words.", examples=[[]])]
    leader: ShownLeader
    late: LatePairs
    errors: FailingPairs
    queue: Annotated[ShownQueue | None, Field(description="Null where Redis does not answer.")]
    last_fire: SystemFire | None
