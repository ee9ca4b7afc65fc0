"""Strict parsing of JSON request bodies: what two parsers might read differently is rejected."""

import json
from collections import Counter
from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.limits import max_body_size
from api.problems import MAX_QUOTED_LENGTH, BadRequest, ContentTooLarge, UnsupportedMediaType

JSON_TYPES = ("application/json", "application/merge-patch+json")
MAX_MEMBERS = 100  # of an object


def read_json() -> Any:
    """Return the body of the current request; raises UnsupportedMediaType, ContentTooLarge or BadRequest."""
    if request.mimetype not in JSON_TYPES:
        raise UnsupportedMediaType(
            f'Content-Type is "{request.mimetype[:MAX_QUOTED_LENGTH]}"; send JSON with Content-Type: application/json'
        )
    try:
        request.max_content_length = max_body_size(request.method, request.path)
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise ContentTooLarge(
            f"the body has more than {request.max_content_length:,} bytes; send less at once"
        ) from None
    if not body:
        raise BadRequest("the body is empty; write JSON")
    try:
        return json.loads(body.decode(), object_pairs_hook=_unique_members, parse_constant=_reject_constant)
    except RecursionError:
        raise BadRequest("the body is JSON that is nested too deeply") from None
    except ValueError as error:  # bad UTF-8 too, and a number with too many digits
        raise BadRequest(f"the body is not JSON: {error}") from None


def _unique_members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MAX_MEMBERS:
        raise ValueError(f"an object has {len(pairs)} members; write at most {MAX_MEMBERS}")
    members = dict(pairs)
    if len(members) < len(pairs):
        [(repeated, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f'"{repeated[:MAX_QUOTED_LENGTH]}" is there twice; write it once')
    return members


def _reject_constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value; write a number or null")
