"""Pagination cursors: the start of the next page, as an opaque text for ?after=."""

import base64
import binascii
import hashlib
import json
import math
import uuid
from typing import Literal, NamedTuple

from api.contract.fields import is_storable
from api.problems import MAX_QUOTED_LENGTH, FieldError, InvalidRequest
from core.results.models import Failure

FIRST_MODEL = "00000000-0000-0000-0000-000000000000"

ListedStatus = Literal["scheduled", "new", "late", "paused", "error", "failing"]


class Filters(NamedTuple):
    """Filters of the list; None does not restrict it."""

    cron: str | None = None
    zone: str | None = None
    enabled: bool | None = None
    status: ListedStatus | None = None
    search: str | None = None  # part of the name, or the beginning of the model's id


class Position(NamedTuple):
    """A position in the order (cron, zone, model): a page begins with it, whether there is such a schedule or not."""

    cron: str
    zone: str
    model_id: str | None  # None: after all models of the cron spec


START = Position("", "", FIRST_MODEL)


def encode(filters: Filters, position: Position | Failure) -> str:
    """Return a cursor that decode() accepts together with the same filters."""
    text = json.dumps([_digest(filters), *position], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def decode(filters: Filters, cursor: str) -> Position | Failure:
    """Return the position of a cursor; raises InvalidRequest for a malformed one, or one of other filters."""
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        digest, *position = json.loads(base64.b64decode(padded, b"-_", validate=True))
    except (ValueError, TypeError, RecursionError, binascii.Error):
        digest, position = None, []
    if digest == _digest(filters):
        match position:
            case [str(cron), str(zone), None] if is_storable(cron + zone):
                return Position(cron, zone, None)
            case [str(cron), str(zone), str(model_id)] if is_storable(cron + zone) and _is_model_id(model_id):
                return Position(cron, zone, model_id)
            case [float(since), str(model_id)] if (
                filters.status == "failing"
                and filters.search is None
                and math.isfinite(since)
                and _is_model_id(model_id)
            ):
                return Failure(since, model_id)
    quoted = cursor[:MAX_QUOTED_LENGTH]
    detail = f'after "{quoted}" is not from a page with these filters; take it from the Link header of one'
    raise InvalidRequest(detail, FieldError(detail, parameter="after"))


def _digest(filters: Filters) -> str:
    return hashlib.sha256(json.dumps(filters).encode()).hexdigest()[:8]


def _is_model_id(text: str) -> bool:
    try:
        return str(uuid.UUID(text)) == text
    except ValueError:
        return False
