"""Exceptions as answers: each class has one, and views catch none."""

import logging
import re
from functools import partial

import redis
from flask import Flask, Response, request
from psycopg2 import Error, InterfaceError, OperationalError
from psycopg2.errors import CheckViolation, ForeignKeyViolation, ReadOnlySqlTransaction
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException

from api.pages import error_page
from api.problems import BY_STATUS, Fault, Problem, Refused, Unavailable, Unexpected

log = logging.getLogger(__name__)

SHOWN = 80  # characters of an address


def register(app: Flask) -> None:
    """Give each class of errors its answer."""
    app.register_error_handler(Problem, _answer)
    for refusal in (CheckViolation, ForeignKeyViolation):
        app.register_error_handler(refusal, _refused)
    # OperationalError is also a lock or a statement that took too long, too many connections, a server that stops.
    for away in (OperationalError, InterfaceError, ReadOnlySqlTransaction):
        app.register_error_handler(away, partial(_away, "PostgreSQL"))
    app.register_error_handler(redis.RedisError, partial(_away, "Redis"))
    app.register_error_handler(HTTPException, _http)
    app.register_error_handler(Exception, _unexpected)


def _answer(problem: Problem) -> Response:
    return error_page.show(problem) if error_page.wanted() else problem.response()


def _refused(error: Error) -> Response:
    """Answer with the words of the gate in the database, which psql users get as well."""
    detail = error.diag.message_primary or str(error)
    pointer = f"#/{error.diag.column_name}" if error.diag.column_name else None
    return _answer(Refused(detail, Fault(detail, pointer, hint=error.diag.message_hint)))


def _away(server: str, error: Exception) -> Response:
    log.warning("%s: %s", server, " ".join(str(error).split()))
    reason = _reason(error)
    state = f"says: {reason.rstrip('.')}" if reason else "does not answer at present"
    return _answer(Unavailable(f"{server} {state}; try again in a moment."))


def _reason(error: Exception) -> str | None:
    """Return what the server said, if it said something."""
    if isinstance(error, redis.ResponseError | redis.BusyLoadingError):
        return str(error)
    if isinstance(error, Error) and error.diag.message_primary:
        return error.diag.message_primary
    refused = re.search(r"FATAL: +(.+)", str(error))  # a connection that was not let in has no diag
    return refused[1] if refused else None


def _http(error: HTTPException) -> Response:
    """Answer for Flask: no such address, another method, a body that is too large, no such part of a file."""
    kind = BY_STATUS.get(error.code or 500)
    if kind is None:
        return _unexpected(error)
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Content-Range")}
    return _answer(kind(_said(error), headers=headers))


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
    return _answer(Unexpected("Something went wrong here, not with your request. The log says what."))
