"""Error responses: application/problem+json (RFC 9457)."""

import json
from collections.abc import Mapping, Sequence
from typing import ClassVar, NamedTuple

from flask import Response

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:cyclic-metrics:problem:"
MAX_QUOTED_LENGTH = 80  # characters of a value of the client that a detail quotes


class FieldError(NamedTuple):
    """One invalid value, its location, and the remedy."""

    detail: str
    pointer: str | None = None  # a JSON pointer into the body, as a URI fragment: #/cron_expression
    parameter: str | None = None  # of the path, the query or the header
    hint: str | None = None


class Problem(Exception):
    """An error response; each subclass is a problem type that clients may rely on."""

    name: ClassVar[str]
    status: ClassVar[int]
    title: ClassVar[str]
    example: ClassVar[str]  # of a detail

    def __init__(self, detail: str, *errors: FieldError, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.errors: Sequence[FieldError] = errors
        self.headers = headers or {}

    def as_dict(self) -> dict[str, object]:
        """Return the members of the JSON object; null ones are left out."""
        members: dict[str, object] = {
            "type": TYPE_PREFIX + self.name,
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
        }
        if self.errors:
            members["errors"] = [
                {name: value for name, value in error._asdict().items() if value is not None} for error in self.errors
            ]
        return members

    def response(self) -> Response:
        """Return the problem as a response."""
        response = Response(json.dumps(self.as_dict()), self.status, content_type=CONTENT_TYPE)
        response.headers.update(self.headers)
        return response


class BadRequest(Problem):
    """The request cannot be parsed."""

    name, status, title = "malformed", 400, "Bad request"
    example = "the body is not JSON: Expecting ',' delimiter: line 1 column 31 (char 30)"


class Unauthorized(Problem):
    """A token is missing or invalid."""

    name, status, title = "unauthorized", 401, "Unauthorized"
    example = "a token is needed; send it as Authorization: Bearer ..."


class ReadOnlyToken(Problem):
    """The token permits reading only."""

    name, status, title = "read-only", 403, "Forbidden: read-only token"
    example = 'the token "grafana" may only read'


class CrossOrigin(Problem):
    """A page of another origin sent a request that changes something."""

    name, status, title = "foreign-origin", 403, "Forbidden: cross-origin request"
    example = "a page of https://elsewhere.example cannot change anything here"


class NotFound(Problem):
    """The resource does not exist; the detail names it."""

    name, status, title = "not-found", 404, "Not found"
    example = "model 550e8400-e29b-41d4-a716-446655440000 has no schedule"


class MethodNotAllowed(Problem):
    """The path has other methods."""

    name, status, title = "method-not-allowed", 405, "Method not allowed"
    example = "/schedule accepts GET, POST, PUT"


class PreconditionFailed(Problem):
    """The schedule has changed since the client read it."""

    name, status, title = "changed", 412, "Precondition failed"
    example = 'If-Match is "0", and its ETag is "2f7d1c0b9a8e4d6f3b5a7c91"; get the schedule again'


class ContentTooLarge(Problem):
    """The request body is too large."""

    name, status, title = "too-large", 413, "Content too large"
    example = "the body has more than 65,536 bytes; send less at once"


class UnsupportedMediaType(Problem):
    """The Content-Type of the request body is not JSON."""

    name, status, title = "not-json", 415, "Unsupported media type"
    example = 'Content-Type is "text/plain"; send JSON with Content-Type: application/json'


class RangeNotSatisfiable(Problem):
    """The Range header names no part of the file."""

    name, status, title = "wrong-range", 416, "Range not satisfiable"
    example = "The server cannot provide the requested range."


class UnknownHost(Problem):
    """The Host header is not one of ALLOWED_HOSTS."""

    name, status, title = "unknown-host", 421, "Misdirected request"
    example = '"elsewhere.example" is not a name of this API'


class InvalidRequest(Problem):
    """A value in the request is invalid; the detail names the field, the value and the remedy."""

    name, status, title = "invalid", 422, "Invalid value"
    example = 'enabled is "yes"; write true or false'


class ScheduleRejected(Problem):
    """The validation trigger rejected the schedule."""

    name, status, title = "refused", 422, "Schedule rejected"
    example = 'cron_expression "5/15 * * * *" is refused: minute "5/15" has a step without a range'


class HeaderFieldsTooLarge(Problem):
    """The URL or the headers are too long."""

    name, status, title = "header-too-large", 431, "Request header fields too large"
    example = "the address or the headers are too long"


class InternalServerError(Problem):
    """An error of the server."""

    name, status, title = "unexpected", 500, "Internal server error"
    example = "Something went wrong here, not with your request. The log has the details."


class ServiceUnavailable(Problem):
    """PostgreSQL or Redis is unavailable; the detail names it."""

    name, status, title = "unavailable", 503, "Service unavailable"
    example = "Redis does not answer at present; try again in a moment."


class Overloaded(Problem):
    """Too many requests at once."""

    name, status, title = "busy", 503, "Service overloaded"
    example = "too many clients send or fetch large bodies; try again"


PROBLEMS: tuple[type[Problem], ...] = tuple(Problem.__subclasses__())
BY_STATUS = {
    kind.status: kind
    for kind in (
        BadRequest,
        NotFound,
        MethodNotAllowed,
        ContentTooLarge,
        UnsupportedMediaType,
        RangeNotSatisfiable,
        HeaderFieldsTooLarge,
    )
}
