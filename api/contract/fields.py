"""Types of request fields: their validators and JSON schemas.

The ValueError of a validator states the remedy; api.contract.request_validation puts the field and its value before it.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

MODEL_ID = "550e8400-e29b-41d4-a716-446655440000"  # example
CRON = "*/15 9-17 * * mon-fri"  # example
MAX_NAME_LENGTH = 200  # characters, as in sql/
UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NO_NUL = "^[^\\u0000]*$"  # in JSON schemas; PostgreSQL cannot store NUL
TIMESTAMP = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)


def uuid(value: Any) -> str:
    """Return a UUID in lower case; raises ValueError."""
    if not (isinstance(value, str) and UUID.fullmatch(value)):
        raise ValueError(f"write a UUID such as {MODEL_ID}")
    return value.lower()


def is_storable(value: str) -> bool:
    """Return True if PostgreSQL can store the string: it has neither NUL nor lone surrogates."""
    return "\0" not in value and value.encode("utf-8", "replace") == value.encode("utf-8", "surrogatepass")


def text(value: Any) -> str:
    """Return a string that PostgreSQL can store; raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("write a string")  # noqa: TRY004  # pydantic accepts no other
    if not is_storable(value):
        raise ValueError("write it without NUL and half surrogate pairs, which PostgreSQL cannot store")
    return value


def nullable_text(value: Any) -> str | None:
    """Return a string that PostgreSQL can store, or None; raises ValueError."""
    if value is not None and not isinstance(value, str):
        raise ValueError("write a string or null")
    return None if value is None else text(value)


def boolean(value: Any) -> bool:
    """Return a JSON boolean; raises ValueError."""
    if not isinstance(value, bool):
        raise ValueError("write true or false")  # noqa: TRY004  # the same
    return value


def query_boolean(value: str) -> bool:
    """Return a boolean of the query string; raises ValueError."""
    if value not in ("true", "false"):
        raise ValueError("write true or false")
    return value == "true"


def timestamp(value: str) -> datetime:
    """Return a timestamp of RFC 3339, in UTC; raises ValueError."""
    if TIMESTAMP.fullmatch(value):
        with suppress(ValueError, OverflowError):  # no such day; before the year 1 in UTC
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    raise ValueError("write an instant such as 2026-11-24T12:00:00Z (a + of an offset is %2B in a query)")


def integer_up_to(maximum: int) -> BeforeValidator:
    """Return the validator of a query parameter that is an integer from 1 to maximum."""

    def validate(value: str) -> int:
        number = int(value) if re.fullmatch("[0-9]{1,9}", value) else 0
        if not 1 <= number <= maximum:
            raise ValueError(f"write a whole number from 1 to {maximum}")
        return number

    return BeforeValidator(validate, json_schema_input_type=Annotated[int, Field(ge=1, le=maximum)])


def default(value: str | int | None) -> Any:
    """Return the annotation that documents the default of an optional field; the view applies it."""
    return Field(json_schema_extra={"default": value})


def json_schema(description: str, example: object, **schema: object) -> WithJsonSchema:
    """Return the schema of a field; pydantic drops a Field() beside WithJsonSchema in lists and unions."""
    return WithJsonSchema({**schema, "description": description, "examples": [example]})


ModelId = Annotated[
    str,
    BeforeValidator(uuid),
    json_schema("The model, as in the table results.", MODEL_ID, type="string", format="uuid"),
]
CronExpression = Annotated[
    str,
    BeforeValidator(text),
    json_schema("Five fields, or an alias such as @daily; see docs/cron.md.", CRON, type="string", format="cron"),
]
TimeZone = Annotated[
    str,
    BeforeValidator(text),
    json_schema("The IANA time zone of the cron expression.", "Europe/Warsaw", type="string", format="iana-time-zone"),
]
# For endpoints that validate cron expressions instead of rejecting them.
AnyCron = Annotated[
    str, BeforeValidator(text), json_schema("A cron expression, valid or not.", CRON, type="string", pattern=NO_NUL)
]
AnyZone = Annotated[
    str,
    BeforeValidator(text),
    json_schema("An IANA time zone, valid or not.", "Europe/Warsaw", type="string", pattern=NO_NUL),
]
Enabled = Annotated[bool, BeforeValidator(boolean), json_schema("False pauses the schedule.", True, type="boolean")]
Name = Annotated[
    str | None,
    BeforeValidator(nullable_text),
    json_schema(
        "Display name of the model.",
        "churn, weekly",
        type=["string", "null"],
        maxLength=MAX_NAME_LENGTH,
        pattern=NO_NUL,
    ),
]
Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"type": "string", "pattern": NO_NUL})]
Timestamp = Annotated[datetime, BeforeValidator(timestamp), WithJsonSchema({"type": "string", "format": "date-time"})]
QueryBoolean = Annotated[bool, BeforeValidator(query_boolean), WithJsonSchema({"type": "boolean"})]
