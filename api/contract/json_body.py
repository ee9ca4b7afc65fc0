"""The JSON of a request, read strictly: what two readers might understand differently is refused."""

import json
from collections import Counter
from typing import Any

from flask import request
from werkzeug.exceptions import RequestEntityTooLarge

from api.http.limits import largest_body
from api.problems import Malformed, NotJson, TooLarge

JSON_TYPES = ("application/json", "application/merge-patch+json")
SHOWN = 80  # characters of what is wrong
MOST_MEMBERS = 100  # of an object


def read_json() -> Any:
    """Return the body. Raises NotJson where it says to be something else, Malformed where it is no JSON."""
    if request.mimetype not in JSON_TYPES:
        raise NotJson(
            f'the body says to be "{request.mimetype[:SHOWN]}"; write JSON, and say so: Content-Type: application/json'
        )
    try:
        request.max_content_length = largest_body(request.method, request.path)
        body = request.get_data(cache=False)
    except RequestEntityTooLarge:
        raise TooLarge(f"the body has more than {request.max_content_length:,} bytes; send less at once") from None
    if not body:
        raise Malformed("the body is empty; write JSON")
    try:
        return json.loads(body.decode(), object_pairs_hook=_members, parse_constant=_constant)
    except RecursionError:
        raise Malformed("the body is not JSON that anybody needs: it is nested too deeply") from None
    except ValueError as error:  # bad UTF-8 too, and a number with too many digits
        raise Malformed(f"the body is not JSON: {error}") from None


def _members(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(pairs) > MOST_MEMBERS:
        raise ValueError(f"an object has {len(pairs)} members; write at most {MOST_MEMBERS}")
    members = dict(pairs)
    if len(members) < len(pairs):
        [(twice, _)] = Counter(name for name, _ in pairs).most_common(1)
        raise ValueError(f'"{twice[:SHOWN]}" is there twice; write it once')
    return members


def _constant(name: str) -> Any:
    raise ValueError(f"{name} is not a JSON value; write a number or null")
