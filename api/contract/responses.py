"""What the API answers, field by field; mypy holds the views to it, and the contract shows it."""

from datetime import datetime
from typing import Annotated, Literal, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.contract.fields import CRON, MODEL_ID, shown
from api.problems import TYPE_PREFIX, Invalid, Refused
from api.schedules.queries import ScheduleStatus
from core.results.models import Status
from core.timestamps import iso

Moment = Annotated[
    str, shown("An instant of RFC 3339, in UTC.", "2026-11-24T12:00:00Z", type="string", format="date-time")
]
ShownModelId = Annotated[str, shown("The model, in lower case.", MODEL_ID, type="string", format="uuid")]
Expression = Annotated[str, shown("In lower case with single blanks.", CRON, type="string")]
Zone = Annotated[str, shown("The zone on whose clock it is meant.", "Europe/Warsaw", type="string")]


def moment(instant: datetime | None) -> str | None:
    """Return an instant as the API writes it, if there is one."""
    return iso(instant) if instant else None


class ShownFault(TypedDict):
    """One thing that is wrong."""

    detail: Annotated[str, Field(description="What is wrong.", examples=['enabled is "yes"; write true or false'])]
    pointer: NotRequired[Annotated[str, Field(description="Where in the body.", examples=["#/enabled"])]]
    parameter: NotRequired[
        Annotated[str, Field(description="Or which parameter of the path or the query.", examples=["limit"])]
    ]
    hint: NotRequired[Annotated[str, Field(description="What to write instead.", examples=["Write 5-59/15."])]]


class ShownProblem(TypedDict):
    """What went wrong."""

    type: Annotated[str, Field(description="Stable: rely on it.", examples=[TYPE_PREFIX + Invalid.name])]
    title: Annotated[str, Field(description="The type in words.", examples=[Invalid.title])]
    status: Annotated[int, Field(description="As in the status line.", examples=[Invalid.status])]
    detail: Annotated[str, Field(description="What went wrong this time.", examples=[Invalid.example])]
    errors: NotRequired[list[ShownFault]]


class ShownSchedule(TypedDict):
    """A schedule."""

    model_id: ShownModelId
    name: Annotated[str | None, Field(description="What people call the model.", examples=["churn, weekly"])]
    cron_expression: Expression
    timezone: Zone
    enabled: Annotated[bool, Field(description="False: paused.", examples=[True])]
    status: Annotated[
        ScheduleStatus,
        Field(
            description="new: the scheduler has not seen it yet; late: its moment has passed; error: see error.",
            examples=["scheduled"],
        ),
    ]
    next_run_at: Annotated[Moment | None, Field(description="The next moment; null when paused or in error.")]
    last_run_at: Annotated[
        Moment | None, Field(description="The last moment that was sent to the workers since the last change.")
    ]
    error: Annotated[str | None, Field(description="Why the scheduler cannot fire it.", examples=[None])]
    created_at: Annotated[Moment, Field(description="When it was made.")]
    updated_at: Annotated[Moment, Field(description="When a user last changed it.")]


class ShownFire(TypedDict):
    """A moment at which a cron expression fires."""

    at: Annotated[Moment, Field(examples=["2026-11-24T11:00:00Z"])]
    local: Annotated[str, Field(description="The same on the zone's clock.", examples=["2026-11-24T12:00:00+01:00"])]
    daylight_saving: Annotated[
        Literal["moved", "merged"] | None,
        Field(description="What a shift of the clock did: one named time moved, or several merged.", examples=[None]),
    ]
    stands_for: Annotated[
        list[str], Field(description="The times that the expression names for it, where not its own.", examples=[[]])
    ]


class ShownMetrics(TypedDict):
    """The quality of a model."""

    accuracy: Annotated[float | None, Field(description="From 0 to 1; null where undefined.", examples=[0.953])]


class ShownResult(TypedDict):
    """What a model's newest row was worth at one moment."""

    model_id: ShownModelId
    due_at: Annotated[Moment, Field(description="The moment; with model_id, the result's identity.")]
    calculated_at: Annotated[Moment, Field(description="When the row was read, or seen to be unchanged.")]
    status: Annotated[Status, Field(description="no_data: no row, or no labels; error: see error.", examples=["ok"])]
    metrics: ShownMetrics
    samples: Annotated[int, Field(description="Labels that were compared.", examples=[150])]
    result_id: Annotated[int | None, Field(description="The row: results.id.", examples=[8])]
    data_timestamp: Annotated[Moment | None, Field(description="The row's timestamp.")]
    error: Annotated[str | None, Field(description="Why there is no figure.", examples=[None])]
    unchanged: Annotated[
        bool,
        Field(description="The row is that of the result before, unchanged, and so are the figures.", examples=[False]),
    ]


class LastFire(TypedDict):
    """The last sending in which the model was."""

    due_at: Moment
    lag_seconds: Annotated[float | None, Field(description="How late sending began.", examples=[0.006])]
    duration_seconds: Annotated[float | None, Field(description="How long sending took.", examples=[0.014])]
    models: Annotated[int, Field(description="How many models were due.", examples=[1000])]
    skipped: Annotated[
        int, Field(description="Earlier moments, of all crons, that it stands for after an outage.", examples=[0])
    ]


class ScheduleDetails(ShownSchedule):
    """A schedule, what comes next, and what came of the last time."""

    description: Annotated[
        str | None,
        Field(description="The expression in words.", examples=["Every 15 minutes, between 09:00 and 17:59"]),
    ]
    next_fires: Annotated[list[ShownFire], Field(description="The next five; none when paused or in error.")]
    last_fire: LastFire | None
    last_result: ShownResult | None
    reason: Annotated[
        str | None,
        Field(
            description="Why it did not fire, or has no result of the last moment; null when all is well.",
            examples=[None],
        ),
    ]


class RunRequested(TypedDict):
    """A run that was asked for."""

    model_id: ShownModelId
    due_at: Annotated[Moment, Field(description="The moment that its result will have.")]


class Saved(TypedDict):
    """What a bulk call did."""

    created: Annotated[int, Field(description="Schedules that are new.", examples=[9000])]
    replaced: Annotated[int, Field(description="Schedules that were there.", examples=[1000])]


class LatestResults(TypedDict):
    """The latest results of many models."""

    results: Annotated[list[ShownResult], Field(description="In the order in which they were asked for.")]
    missing: Annotated[list[ShownModelId], Field(description="Models that have no result yet.")]


class ShownRefusal(TypedDict):
    """What the gate says of a value that it refuses."""

    field: Annotated[str, Field(examples=["cron_expression"])]
    detail: Annotated[str, Field(examples=[Refused.example])]
    hint: Annotated[str | None, Field(description="What to write instead.", examples=["Write 5-59/15."])]


class TriedCron(TypedDict):
    """What an expression means, and when it would fire."""

    cron_expression: Annotated[str, Field(description="As it would be stored.", examples=["*/15 9-17 * * mon-fri"])]
    timezone: Zone
    valid: Annotated[bool, Field(description="Whether a schedule may have it.", examples=[True])]
    errors: Annotated[list[ShownRefusal], Field(description="What is wrong with it.", examples=[[]])]
    description: Annotated[
        str | None, Field(description="In words.", examples=["Every 15 minutes, between 09:00 and 17:59"])
    ]
    next_fires: list[ShownFire]
