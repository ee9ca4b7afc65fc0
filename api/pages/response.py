"""An answer that is a page: rendered for all who look at it, and asked for again and again while somebody does."""

import gzip
from collections.abc import Callable, Hashable
from typing import Any

from flask import Response, current_app, g, render_template, request
from psycopg2.extensions import cursor

from api.backends import backends
from api.middleware.access_control import COOKIE
from api.pages.page_cache import Page, Renderings
from api.pages.snapshot import Looking, Whole
from core.timestamps import iso

RENDERINGS, LOOKING = "cyclic-metrics-renderings", "cyclic-metrics-looking"
NOW = "X-Schedule-Now"  # header: the clock that all moments go by, for relative times
HTML = "text/html; charset=utf-8"


def answer(address: Hashable, render: Callable[[], Page], content_type: str = HTML) -> Response:
    """Return a page, rendered anew or a moment ago for this address; 304 where the caller has it already."""
    renderings: Renderings = current_app.extensions[RENDERINGS]
    found = renderings.get(
        (address, g.get("token"), g.may_write, COOKIE in request.cookies),
        render,
        anew=bool(request.cache_control.no_cache),
    )
    compressed = request.accept_encodings.quality("gzip") > 0
    body = found.compressed if compressed else gzip.decompress(found.compressed)
    shown = Response(body, content_type=content_type)
    shown.set_etag(f"{found.etag}-gzip" if compressed else found.etag)
    if compressed:
        shown.headers["Content-Encoding"] = "gzip"
    shown.headers["Vary"] = "Accept-Encoding"
    shown.headers["Cache-Control"] = "private, no-cache"  # keep it, but ask before using it again
    shown.headers[NOW] = iso(found.schedule_now(), "milliseconds")
    shown.make_conditional(request)
    return shown


def look(statements: cursor) -> Whole:
    """Return how the whole system is."""
    looking: Looking = current_app.extensions[LOOKING]
    return looking.latest(backends(), statements)


def rendered(template: str, whole: Whole, **values: Any) -> Page:
    """Return a template filled with values, and with what all pages need."""
    signed_in = g.get("token") if COOKIE in request.cookies else None
    html = render_template(template, whole=whole, may_write=g.may_write, signed_in=signed_in, **values)
    return Page(html, whole.now)
