"""The values that callers write, field by field: what each may be, in the contract and in the words of an error.

A validator's ValueError says what would be right; api.contract.operation puts the field and its value before it.
"""

import re
from contextlib import suppress
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

MODEL_ID = "550e8400-e29b-41d4-a716-446655440000"
CRON = "*/15 9-17 * * mon-fri"
LONGEST_NAME = 200  # characters, as in sql/
UUID = re.compile("[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
NO_NUL = "^[^\\u0000]*$"  # as contracts write it; PostgreSQL stores no other
INSTANT = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2})")


def uuid(value: Any) -> str:
    """Return a UUID in lower case; raises ValueError."""
    if not (isinstance(value, str) and UUID.fullmatch(value)):
        raise ValueError(f"write a UUID such as {MODEL_ID}")
    return value.lower()


def is_text(value: str) -> bool:
    """Whether PostgreSQL can store a string: it takes neither NUL nor half of a surrogate pair."""
    return "\0" not in value and value.encode("utf-8", "replace") == value.encode("utf-8", "surrogatepass")


def text(value: Any) -> str:
    """Return a string that PostgreSQL can store; raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("write a string")  # noqa: TRY004  # pydantic takes no other
    if not is_text(value):
        raise ValueError("write it without NUL and half surrogate pairs, which PostgreSQL cannot store")
    return value


def nullable_text(value: Any) -> str | None:
    """Return a string that PostgreSQL can store, or None; raises ValueError."""
    if value is not None and not isinstance(value, str):
        raise ValueError("write a string or null")
    return None if value is None else text(value)


def boolean(value: Any) -> bool:
    """Return a JSON value that is true or false; raises ValueError."""
    if not isinstance(value, bool):
        raise ValueError("write true or false")  # noqa: TRY004  # the same
    return value


def switch(value: str) -> bool:
    """Return what a parameter of the query says; raises ValueError."""
    if value not in ("true", "false"):
        raise ValueError("write true or false")
    return value == "true"


def instant(value: str) -> datetime:
    """Return an instant of RFC 3339, in UTC; raises ValueError."""
    if INSTANT.fullmatch(value):
        with suppress(ValueError, OverflowError):  # no such day; before the year 1 in UTC
            return datetime.fromisoformat(value.upper()).astimezone(UTC)
    raise ValueError("write an instant such as 2026-11-24T12:00:00Z (a + of an offset is %2B in a query)")


def whole(largest: int) -> BeforeValidator:
    """Return the check of a parameter of the query that is a whole number from 1 to largest."""

    def check(value: str) -> int:
        number = int(value) if re.fullmatch("[0-9]{1,9}", value) else 0
        if not 1 <= number <= largest:
            raise ValueError(f"write a whole number from 1 to {largest}")
        return number

    return BeforeValidator(check, json_schema_input_type=Annotated[int, Field(ge=1, le=largest)])


def default(value: str | int | None) -> Any:
    """Return what the contract says of a field that may be left out; the view has the default itself."""
    return Field(json_schema_extra={"default": value})


def shown(description: str, example: object, **schema: object) -> WithJsonSchema:
    """Return the schema of a field; pydantic would forget a Field() beside WithJsonSchema in lists and unions."""
    return WithJsonSchema({**schema, "description": description, "examples": [example]})


ModelId = Annotated[
    str, BeforeValidator(uuid), shown("The model, as in the table results.", MODEL_ID, type="string", format="uuid")
]
CronExpression = Annotated[
    str,
    BeforeValidator(text),
    shown("Five fields, or an alias such as @daily; see docs/cron.md.", CRON, type="string", format="cron"),
]
TimeZone = Annotated[
    str,
    BeforeValidator(text),
    shown(
        "The IANA zone on whose clock the expression is meant.", "Europe/Warsaw", type="string", format="iana-time-zone"
    ),
]
# Of calls that take any, and say what they think of it.
AnyCron = Annotated[
    str, BeforeValidator(text), shown("A cron expression, right or wrong.", CRON, type="string", pattern=NO_NUL)
]
AnyZone = Annotated[
    str, BeforeValidator(text), shown("An IANA zone, right or wrong.", "Europe/Warsaw", type="string", pattern=NO_NUL)
]
Enabled = Annotated[bool, BeforeValidator(boolean), shown("False pauses the schedule.", True, type="boolean")]
Name = Annotated[
    str | None,
    BeforeValidator(nullable_text),
    shown(
        "What people call the model.", "churn, weekly", type=["string", "null"], maxLength=LONGEST_NAME, pattern=NO_NUL
    ),
]
Text = Annotated[str, BeforeValidator(text), WithJsonSchema({"type": "string", "pattern": NO_NUL})]
Instant = Annotated[datetime, BeforeValidator(instant), WithJsonSchema({"type": "string", "format": "date-time"})]
Switch = Annotated[bool, BeforeValidator(switch), WithJsonSchema({"type": "boolean"})]
