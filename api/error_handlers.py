"""Error handlers: one per exception class; views catch none."""

import logging
import re
from collections.abc import Callable
from functools import partial

import redis
from flask import Flask, Response, current_app, request
from psycopg2 import Error, InterfaceError, OperationalError
from psycopg2.errors import CheckViolation, ForeignKeyViolation, ReadOnlySqlTransaction
from werkzeug import exceptions
from werkzeug.exceptions import HTTPException

from api.problems import (
    BY_STATUS,
    MAX_QUOTED_LENGTH,
    FieldError,
    InternalServerError,
    Problem,
    ScheduleRejected,
    ServiceUnavailable,
)

log = logging.getLogger(__name__)

RENDERER = "problem renderer"  # extension

Renderer = Callable[[Problem], Response | None]


def register(app: Flask) -> None:
    """Register the handlers."""
    app.register_error_handler(Problem, _response)
    for violation in (CheckViolation, ForeignKeyViolation):
        app.register_error_handler(violation, _rejected)
    # OperationalError is also a lock or statement timeout, too many connections, or a server that shuts down.
    for unavailable in (OperationalError, InterfaceError, ReadOnlySqlTransaction):
        app.register_error_handler(unavailable, partial(_unavailable, "PostgreSQL"))
    app.register_error_handler(redis.RedisError, partial(_unavailable, "Redis"))
    app.register_error_handler(HTTPException, _http_error)
    app.register_error_handler(Exception, _unexpected)


def set_renderer(app: Flask, renderer: Renderer) -> None:
    """Render problems by this function where it returns a response, such as an HTML page; as JSON otherwise."""
    app.extensions[RENDERER] = renderer


def _response(problem: Problem) -> Response:
    renderer: Renderer | None = current_app.extensions.get(RENDERER)
    return (renderer and renderer(problem)) or problem.response()


def _rejected(error: Error) -> Response:
    """Respond with the message of the validation trigger, which psql prints as well."""
    detail = error.diag.message_primary or str(error)
    pointer = f"#/{error.diag.column_name}" if error.diag.column_name else None
    return _response(ScheduleRejected(detail, FieldError(detail, pointer, hint=error.diag.message_hint)))


def _unavailable(backend: str, error: Exception) -> Response:
    log.warning("%s: %s", backend, " ".join(str(error).split()))
    message = _server_message(error)
    state = f"says: {message.rstrip('.')}" if message else "does not answer at present"
    return _response(ServiceUnavailable(f"{backend} {state}; try again in a moment."))


def _server_message(error: Exception) -> str | None:
    if isinstance(error, redis.ResponseError | redis.BusyLoadingError):
        return str(error)
    if isinstance(error, Error) and error.diag.message_primary:
        return error.diag.message_primary
    rejected = re.search(r"FATAL: +(.+)", str(error))  # a rejected connection has no diag
    return rejected[1] if rejected else None


def _http_error(error: HTTPException) -> Response:
    """Respond to Flask's own errors: unknown path, method, body size, range."""
    kind = BY_STATUS.get(error.code or 500)
    if kind is None:
        return _unexpected(error)
    headers = {name: value for name, value in error.get_headers() if name in ("Allow", "Content-Range")}
    return _response(kind(_http_error_detail(error), headers=headers))


def _http_error_detail(error: HTTPException) -> str:
    path = request.path[:MAX_QUOTED_LENGTH]
    if isinstance(error, exceptions.MethodNotAllowed):
        methods = sorted(set(error.valid_methods or ()) - {"HEAD", "OPTIONS"})
        return f"{path} accepts {', '.join(methods)}"
    if isinstance(error, exceptions.NotFound):
        return f"there is nothing at {path}; /docs lists what there is"
    return error.description or error.name


def _unexpected(error: Exception) -> Response:
    log.error("unexpected error", exc_info=error)
    return _response(InternalServerError(InternalServerError.example))
