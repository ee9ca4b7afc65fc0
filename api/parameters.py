"""What users write into addresses, checked: each error names the parameter, the value and what would be right."""

import re
import uuid
from collections.abc import Collection

from flask import request

from api.problems import Invalid


def parse_uuid(field: str, text: str) -> str:
    """Return a UUID in lower case; raises Invalid."""
    try:
        parsed = str(uuid.UUID(text))
    except ValueError:
        parsed = ""
    if not parsed or parsed != text.lower():
        raise Invalid(f'{field} "{text[:80]}" is not a UUID; write one such as 550e8400-e29b-41d4-a716-446655440000')
    return parsed


def number(field: str, default: int, largest: int) -> int:
    """Return a parameter of the query, from 1 to largest; raises Invalid."""
    text = request.args.get(field, str(default))
    value = int(text) if re.fullmatch("[0-9]{1,9}", text) else 0
    if not 1 <= value <= largest:
        raise Invalid(f'{field} "{text[:80]}" is not a number from 1 to {largest}')
    return value


def only(names: Collection[str]) -> None:
    """Refuse a parameter that the call does not have: a typing error would go unnoticed."""
    for name in request.args:
        if name not in names:
            raise Invalid(f'"{name[:80]}" is not a parameter of {request.path}; there are {", ".join(names)}')


def is_text(value: str) -> bool:
    """Whether PostgreSQL can store a string: it takes neither NUL nor half of a surrogate pair."""
    return "\0" not in value and value.encode("utf-8", "replace") == value.encode("utf-8", "surrogatepass")
