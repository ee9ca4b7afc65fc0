"""One log line per request, as key=value, and the request's id in every line that is logged while it is handled.

A value is quoted as JSON unless it is plain, so that no request can forge a line. The query string is left out, since
clients may put secrets into it; so is a token in the path.
"""

import json
import logging
import re
import secrets
import time

from flask import Flask, Response, g, has_request_context, request

from api import tokens
from api.middleware.access_control import HEALTH_CHECKS

log = logging.getLogger(__name__)

SUFFIX = "request_suffix"  # attribute of log records
LIVE = "live"  # X-Requested-With of open pages
REQUEST_ID = re.compile("[A-Za-z0-9._-]{1,64}")
PLAIN = re.compile("[A-Za-z0-9._/:-]+")


class RequestIdFilter(logging.Filter):
    """Adds the id of the current request to each record of a handler, as the attribute SUFFIX."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Pass every record."""
        suffix = f" request={g.request_id}" if has_request_context() and "request_id" in g else ""
        setattr(record, SUFFIX, suffix)
        return True


def register(app: Flask) -> None:
    """Log the requests of an application; call this before anything that may reject them is registered."""
    app.before_request(_start_request)
    app.after_request(_log_request)


def _start_request() -> None:
    g.started_at = time.monotonic()
    request_id = request.headers.get("X-Request-Id", "")
    is_valid = REQUEST_ID.fullmatch(request_id) and not tokens.TOKEN_PATTERN.search(request_id)
    g.request_id = request_id if is_valid else secrets.token_hex(8)


def _log_request(response: Response) -> Response:
    response.headers["X-Request-Id"] = g.request_id
    log.log(
        logging.DEBUG if _is_routine(response) else logging.INFO,
        "%s %s status=%s ms=%.1f bytes=%s client=%s from=%s",
        _quoted(request.method),
        _quoted(tokens.TOKEN_PATTERN.sub(f"{tokens.PREFIX}...", request.path)),
        response.status_code,
        (time.monotonic() - g.started_at) * 1000,
        response.content_length or 0,
        g.get("token", "-"),
        request.remote_addr,
    )
    return response


def _is_routine(response: Response) -> bool:
    """Return True for a successful health check, and for the poll that an open page sends each second."""
    is_poll = request.path in HEALTH_CHECKS or request.headers.get("X-Requested-With") == LIVE
    return is_poll and response.status_code in {200, 304}


def _quoted(text: str) -> str:
    return text if PLAIN.fullmatch(text) else json.dumps(text)
