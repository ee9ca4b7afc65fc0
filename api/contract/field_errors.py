"""Problems with field errors, and their parts: locations and values."""

import itertools
import json
from collections.abc import Iterable, Sequence
from urllib.parse import quote

from api.problems import MAX_QUOTED_LENGTH, FieldError, InvalidRequest, Problem

MAX_FIELD_ERRORS = 100  # in a response


def problem_with(errors: Iterable[FieldError], kind: type[Problem] = InvalidRequest) -> Problem:
    """Return the problem with these errors (the first hundred): its detail is that of the first one."""
    listed = list(itertools.islice(errors, MAX_FIELD_ERRORS))
    others = f"{len(listed) - 1} more" if len(listed) < MAX_FIELD_ERRORS else f"at least {MAX_FIELD_ERRORS - 1} more"
    more = f" (and {others}, see errors)" if len(listed) > 1 else ""
    return kind(listed[0].detail + more, *listed)


def json_pointer(location: Sequence[str | int]) -> str:
    """Return a JSON pointer as a URI fragment (RFC 6901); a lone surrogate in a name becomes a question mark."""
    tokens = (str(token)[:MAX_QUOTED_LENGTH].replace("~", "~0").replace("/", "~1") for token in location)
    return "#" + "".join("/" + quote(token, safe="!$&'()*+,;=:@", errors="replace") for token in tokens)


def quoted(value: object) -> str:
    """Return a value as JSON, cut to MAX_QUOTED_LENGTH."""
    try:
        text = json.dumps(value)
    except RecursionError:
        return "nested deeply"
    return text if len(text) <= MAX_QUOTED_LENGTH else f"{text[:MAX_QUOTED_LENGTH]}…"
