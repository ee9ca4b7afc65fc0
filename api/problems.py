"""Errors as answers: application/problem+json of RFC 9457."""

import logging
import re
from functools import partial
from typing import Any

import redis
from flask import Flask, Request, Response, json
from psycopg2.errors import (
    CheckViolation,
    Error,
    ForeignKeyViolation,
    InterfaceError,
    OperationalError,
    ReadOnlySqlTransaction,
)
from werkzeug.exceptions import BadRequest, HTTPException, UnsupportedMediaType
from werkzeug.http import HTTP_STATUS_CODES

log = logging.getLogger(__name__)


class Invalid(Exception):
    """A value that a user sent is wrong; the message names the field, the value and what would be right."""


class NotFound(Exception):
    """There is no such thing; the message says which."""


class Unavailable(Exception):
    """A server that the answer needs is away; the message says which."""


class JsonRequest(Request):
    """A request whose body says where it is not JSON."""

    def on_json_loading_failed(self, e: ValueError | None) -> Any:
        """Answer 400 where the body cannot be read, 415 where it is said to be something else."""
        if e is None:
            raise UnsupportedMediaType("write the body as JSON, and say so: Content-Type: application/json")
        raise BadRequest(f"the body is not JSON: {e}")


def problem(status: int, detail: str, **more: object) -> Response:
    """Return an error's answer; a member of more that is None is left out."""
    members = {"type": "about:blank", "title": HTTP_STATUS_CODES[status], "status": status, "detail": detail}
    members |= {name: value for name, value in more.items() if value is not None}
    return Response(json.dumps(members), status, content_type="application/problem+json")


def register(app: Flask) -> None:
    """Give each class of errors its answer."""
    app.register_error_handler(Invalid, lambda error: problem(422, str(error)))
    app.register_error_handler(NotFound, lambda error: problem(404, str(error)))
    app.register_error_handler(Unavailable, lambda error: problem(503, str(error)))
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
    return problem(422, error.diag.message_primary or str(error), hint=error.diag.message_hint)


def _away(server: str, error: Exception) -> Response:
    log.warning("%s: %s", server, " ".join(str(error).split()))
    reason = _reason(error)
    state = f"says: {reason.rstrip('.')}" if reason else "does not answer at present"
    return problem(503, f"{server} {state}; try again in a moment.")


def _reason(error: Exception) -> str | None:
    """Return what the server said, if it said something."""
    if isinstance(error, redis.ResponseError | redis.BusyLoadingError):
        return str(error)
    if isinstance(error, Error) and error.diag.message_primary:
        return error.diag.message_primary
    refused = re.search(r"FATAL: +(.+)", str(error))  # a connection that was not let in has no diag
    return refused[1] if refused else None


def _http(error: HTTPException) -> Response:
    answer = problem(error.code or 500, error.description or error.name)
    allowed = dict(error.get_headers()).get("Allow")
    if allowed:
        answer.headers["Allow"] = allowed
    return answer


def _unexpected(error: Exception) -> Response:
    log.error("unexpected", exc_info=error)
    return problem(500, "Something went wrong here, not with your request. The log says what.")
