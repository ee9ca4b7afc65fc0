"""An answer that is a page: rendered for all who look at it, and asked for again and again while somebody does."""

from collections.abc import Callable, Hashable
from datetime import datetime
from typing import Any

import redis
from flask import Response, current_app, g, render_template, request
from psycopg2.extensions import cursor

from api import diagnosis, system
from api.guard import COOKIE
from api.pages.renderings import Page, Renderings
from api.services import services
from api.system import Queue, System
from worker.results import iso

EXTENSION = "cyclic-metrics-renderings"
NOW = "X-Schedule-Now"  # header: the clock that all moments go by, for relative times


def answer(address: Hashable, render: Callable[[], Page]) -> Response:
    """Return a page, rendered anew or a moment ago for this address; 304 where the caller has it already."""
    renderings: Renderings = current_app.extensions[EXTENSION]
    found = renderings.get(
        (address, g.get("token"), g.may_write, COOKIE in request.cookies),
        render,
        anew=request.cache_control.no_cache is not None,
    )
    shown = Response(found.html, content_type="text/html; charset=utf-8")
    shown.set_etag(found.etag)
    if request.accept_encodings.quality("gzip"):
        shown.data = found.compressed
        shown.set_etag(f"{found.etag}-gzip")
        shown.headers["Content-Encoding"] = "gzip"
    shown.headers["Vary"] = "Accept-Encoding"
    shown.headers["Cache-Control"] = "no-cache"  # keep it, but ask before using it again
    shown.headers[NOW] = iso(found.schedule_now(), "milliseconds")
    shown.make_conditional(request)
    return shown


def rendered(template: str, now: datetime, **values: Any) -> Page:
    """Return a template filled with values, and with what all pages need."""
    signed_in = g.get("token") if COOKIE in request.cookies else None
    html = render_template(f"pages/{template}", now=now, may_write=g.may_write, signed_in=signed_in, **values)
    return Page(html, now)


def queue() -> Queue | None:
    """Return the state of the queue; None where Redis does not answer."""
    try:
        return system.queue(services().redis)
    except redis.RedisError:
        return None


def workers() -> int | None:
    """Return how many workers are connected; None where that cannot be told."""
    try:
        return system.workers(services().redis)
    except redis.RedisError:
        return None


def look(statements: cursor) -> tuple[System, Queue | None, list[str]]:
    """Return what there is to say of the whole system, and what is wrong with it."""
    found, waiting = system.look(statements), queue()
    return found, waiting, diagnosis.problems(found, waiting, services().settings.queue_age_limit)
