"""Errors as answers: application/problem+json of RFC 9457."""

import json
import logging
import re
from collections.abc import Mapping, Sequence
from functools import partial
from typing import ClassVar, NamedTuple

import redis
from flask import Flask, Response, request
from psycopg2 import Error, InterfaceError, OperationalError
from psycopg2.errors import CheckViolation, ForeignKeyViolation, ReadOnlySqlTransaction
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException

log = logging.getLogger(__name__)

CONTENT_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:cyclic-metrics:problem:"
SHOWN = 80  # characters of an address


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
BY_STATUS = {kind.status: kind for kind in (Malformed, NotFound, MethodNotAllowed, TooLarge, NotJson, HeaderTooLarge)}


def register(app: Flask) -> None:
    """Give each class of errors its answer."""
    app.register_error_handler(Problem, Problem.response)
    for refusal in (CheckViolation, ForeignKeyViolation):
        app.register_error_handler(refusal, _refused)
    # OperationalError is also a lock or a statement that took too long, too many connections, a server that stops.
    for away in (OperationalError, InterfaceError, ReadOnlySqlTransaction):
        app.register_error_handler(away, partial(_away, "PostgreSQL"))
    app.register_error_handler(redis.RedisError, partial(_away, "Redis"))
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _refused(error: Error) -> Response:
    """Answer with the words of the gate in the database, which psql users get as well."""
    detail = error.diag.message_primary or str(error)
    pointer = f"#/{error.diag.column_name}" if error.diag.column_name else None
    return Refused(detail, Fault(detail, pointer, hint=error.diag.message_hint)).response()


def _away(server: str, error: Exception) -> Response:
    log.warning("%s: %s", server, " ".join(str(error).split()))
    reason = _reason(error)
    state = f"says: {reason.rstrip('.')}" if reason else "does not answer at present"
    return Unavailable(f"{server} {state}; try again in a moment.").response()


def _reason(error: Exception) -> str | None:
    """Return what the server said, if it said something."""
    if isinstance(error, redis.ResponseError | redis.BusyLoadingError):
        return str(error)
    if isinstance(error, Error) and error.diag.message_primary:
        return error.diag.message_primary
    refused = re.search(r"FATAL: +(.+)", str(error))  # a connection that was not let in has no diag
    return refused[1] if refused else None


def _http(error: HTTPException) -> Response:
    """Answer for Flask: no such address, another method, a body that is too large."""
    kind = BY_STATUS.get(error.code or 500)
    if kind is None:
        return _unexpected(error)
    allowed = dict(error.get_headers()).get("Allow")
    return kind(_said(error), headers={"Allow": allowed} if allowed else None).response()


def _said(error: HTTPException) -> str:
    path = request.path[:SHOWN]
    if isinstance(error, exceptions.MethodNotAllowed):
        methods = sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"})
        return f"{path} takes {', '.join(methods)}"
    if isinstance(error, exceptions.NotFound):
        return f"there is nothing at {path}; /docs lists what there is"
    return error.description or error.name


def _unexpected(error: Exception) -> Response:
    log.error("unexpected", exc_info=error)
    return Unexpected("Something went wrong here, not with your request. The log says what.").response()
