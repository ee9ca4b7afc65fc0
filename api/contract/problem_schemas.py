"""Schemas of error responses."""

from typing import Annotated, NotRequired

from pydantic import Field
from typing_extensions import TypedDict

from api.problems import TYPE_PREFIX, InvalidRequest


class FieldError(TypedDict):
    """One invalid value."""

    detail: Annotated[
        str, Field(description="The value and the error.", examples=['enabled is "yes"; write true or false'])
    ]
    pointer: NotRequired[Annotated[str, Field(description="Location in the body.", examples=["#/enabled"])]]
    parameter: NotRequired[
        Annotated[str, Field(description="Name of the parameter of the path or the query.", examples=["limit"])]
    ]
    hint: NotRequired[Annotated[str, Field(description="The remedy.", examples=["Write 5-59/15."])]]


class Problem(TypedDict):
    """An error response (RFC 9457)."""

    type: Annotated[
        str, Field(description="Stable identifier of the problem.", examples=[TYPE_PREFIX + InvalidRequest.name])
    ]
    title: Annotated[str, Field(description="The type in words.", examples=[InvalidRequest.title])]
    status: Annotated[int, Field(description="HTTP status code.", examples=[InvalidRequest.status])]
    detail: Annotated[str, Field(description="The error in this request.", examples=[InvalidRequest.example])]
    errors: NotRequired[list[FieldError]]
