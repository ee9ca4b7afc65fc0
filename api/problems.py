"""Errors as answers: application/problem+json of RFC 9457."""

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from flask import Response

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:cyclic-metrics:problem:"


class Fault(NamedTuple):
    """One thing that is wrong, where it is, and what to write instead."""

    detail: str
    pointer: str | None = None  # a JSON pointer into the body, as a URI fragment: #/cron_expression
    parameter: str | None = None  # of the path, the query or the header
    hint: str | None = None


class Problem(Exception):
    """An answer that is not what was asked for; each subclass is a type that callers may rely on."""

    name: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    example: ClassVar[str]  # of a detail

    def __init__(self, detail: str, *errors: Fault, headers: Mapping[str, str] | None = None) -> None:
        """Say what is wrong in one sentence, and, fault by fault, where."""
        super().__init__(detail)
        self.detail = detail
        self.errors: Sequence[Fault] = errors
        self.headers = headers or {}

    def as_dict(self) -> dict[str, object]:
        """Return the members of the answer; null ones are left out."""
        members: dict[str, object] = {
            "type": TYPE_PREFIX + self.name,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = [
                {name: value for name, value in fault._asdict().items() if value is not None} for fault in self.errors
            ]
        return members

    def response(self) -> Response:
        """Return the answer."""
        answer = Response(json.dumps(self.as_dict()), self.status, content_type=CONTENT_TYPE)
        answer.headers.update(self.headers)
        return answer


class Malformed(Problem):
    """The request cannot be read."""

    name, status, title = "malformed", 400, "The request cannot be read"
    example = "the body is not JSON: Expecting ',' delimiter: line 1 column 31 (char 30)"


class Unauthorized(Problem):
    """A token is needed."""

    name, status, title = "unauthorized", 401, "A token is needed"
    example = "a token is needed; send it as Authorization: Bearer ..."


class ReadOnly(Problem):
    """The token may only read."""

    name, status, title = "read-only", 403, "The token may only read"
    example = 'the token "grafana" may only read'


class ForeignOrigin(Problem):
    """A page of somebody else's wants to change something."""

    name, status, title = "foreign-origin", 403, "Pages of other origins cannot change anything"
    example = "a page of https://elsewhere.example cannot change anything here"


class NotFound(Problem):
    """There is no such thing; the message says which."""

    name, status, title = "not-found", 404, "There is no such thing"
    example = "model 550e8400-e29b-41d4-a716-446655440000 has no schedule"


class MethodNotAllowed(Problem):
    """The address has other methods."""

    name, status, title = "method-not-allowed", 405, "The address does not have this method"
    example = "/schedule takes GET, POST, PUT"


class Changed(Problem):
    """The schedule is not the one that the caller has seen."""

    name, status, title = "changed", 412, "The schedule is another one by now"
    example = "the schedule is another one by now; get it again"


class TooLarge(Problem):
    """The body is too large."""

    name, status, title = "too-large", 413, "The body is too large"
    example = "the body has more than 65,536 bytes; send less at once"


class NotJson(Problem):
    """The body says to be something else than JSON."""

    name, status, title = "not-json", 415, "The body must be JSON"
    example = 'the body says to be "text/plain"; write JSON, and say so: Content-Type: application/json'


class WrongRange(Problem):
    """The Range header names no part of the file."""

    name, status, title = "wrong-range", 416, "There is no such part of the file"
    example = "The server cannot provide the requested range."


class UnknownHost(Problem):
    """The Host header names none of ours."""

    name, status, title = "unknown-host", 421, "The API does not answer by this name"
    example = '"elsewhere.example" is not a name of this API'


class Invalid(Problem):
    """A value that a user sent is wrong; the message names the field, the value and what would be right."""

    name, status, title = "invalid", 422, "A value is wrong"
    example = 'enabled is "yes"; write true or false'


class Refused(Problem):
    """The gate in the database does not take the schedule."""

    name, status, title = "refused", 422, "The schedule is refused"
    example = 'cron_expression "5/15 * * * *" is refused: minute "5/15" has a step without a range'


class HeaderTooLarge(Problem):
    """The address or the headers are too long."""

    name, status, title = "header-too-large", 431, "The address or the headers are too long"
    example = "the address or the headers are too long"


class Unexpected(Problem):
    """A fault of ours."""

    name, status, title = "unexpected", 500, "Something went wrong here"
    example = "Something went wrong here, not with your request. The log says what."


class Unavailable(Problem):
    """A server that the answer needs is away; the message says which."""

    name, status, title = "unavailable", 503, "Not at present"
    example = "Redis does not answer at present; try again in a moment."


class Busy(Problem):
    """Too much is under way at once."""

    name, status, title = "busy", 503, "Too much at once"
    example = "others send or fetch much at this moment; try again"


PROBLEMS: tuple[type[Problem], ...] = tuple(Problem.__subclasses__())
BY_STATUS = {
    kind.status: kind for kind in (Malformed, NotFound, MethodNotAllowed, TooLarge, NotJson, WrongRange, HeaderTooLarge)
}
