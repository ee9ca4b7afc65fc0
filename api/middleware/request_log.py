"""One line per request, as key=value; and its id, in every line that is written on its behalf.

A value is quoted as JSON unless it is plain, so that no request can forge a line. The query is left out: what people
should not have put there stays out of the log. So does a token in the path.
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

LIVE = "live"  # what open pages say of themselves
ID = re.compile("[A-Za-z0-9._-]{1,64}")
PLAIN = re.compile("[A-Za-z0-9._/:-]+")


class OfRequest(logging.Filter):
    """Gives each record of a handler the attribute of_request: the id of the request at hand, or nothing."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Let everything pass."""
        known = has_request_context() and "request_id" in g
        record.of_request = f" request={g.request_id}" if known else ""
        return True


def register(app: Flask) -> None:
    """Log the requests of an application; before what may refuse them is registered."""
    app.before_request(_begin)
    app.after_request(_log)


def _begin() -> None:
    g.began = time.monotonic()
    sent = request.headers.get("X-Request-Id", "")
    g.request_id = sent if ID.fullmatch(sent) and not tokens.SHAPE.search(sent) else secrets.token_hex(8)


def _log(answer: Response) -> Response:
    answer.headers["X-Request-Id"] = g.request_id
    log.log(
        logging.DEBUG if _is_routine(answer) else logging.INFO,
        "%s %s status=%s ms=%.1f bytes=%s client=%s from=%s",
        _value(request.method),
        _value(tokens.SHAPE.sub(f"{tokens.PREFIX}...", request.path)),
        answer.status_code,
        (time.monotonic() - g.began) * 1000,
        answer.content_length or 0,
        g.get("token", "-"),
        request.remote_addr,
    )
    return answer


def _is_routine(answer: Response) -> bool:
    """Whether a health check, or an open page that looks each second whether something is new, found all well."""
    asked = request.path in HEALTH_CHECKS or request.headers.get("X-Requested-With") == LIVE
    return asked and answer.status_code in {200, 304}


def _value(text: str) -> str:
    return text if PLAIN.fullmatch(text) else json.dumps(text)
