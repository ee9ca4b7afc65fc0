"""Responses of pages: rendered through the page cache, with ETags and compression."""

import gzip
from collections.abc import Callable, Hashable
from typing import Any

from flask import Response, current_app, g, render_template, request
from psycopg2.extensions import cursor

from api.backends import backends
from api.middleware.access_control import COOKIE
from api.pages.page_cache import PageCache, RenderedPage
from api.pages.snapshot import SnapshotCache, SystemView
from core.timestamps import iso

PAGE_CACHE, SNAPSHOT_CACHE = "cyclic-metrics-page-cache", "cyclic-metrics-snapshot-cache"  # extensions
NOW_HEADER = "X-Schedule-Now"  # the system's clock, for relative times
HTML = "text/html; charset=utf-8"


def page_response(key: Hashable, render: Callable[[], RenderedPage], content_type: str = HTML) -> Response:
    """Return a page of the cache; 304 if the client has it already."""
    cache: PageCache = current_app.extensions[PAGE_CACHE]
    page = cache.get(
        (key, g.get("token"), g.may_write, COOKIE in request.cookies),
        render,
        force=bool(request.cache_control.no_cache),
    )
    accepts_gzip = request.accept_encodings.quality("gzip") > 0
    body = page.compressed if accepts_gzip else gzip.decompress(page.compressed)
    response = Response(body, content_type=content_type)
    response.set_etag(f"{page.etag}-gzip" if accepts_gzip else page.etag)
    if accepts_gzip:
        response.headers["Content-Encoding"] = "gzip"
    response.headers["Vary"] = "Accept-Encoding"
    response.headers["Cache-Control"] = "private, no-cache"  # clients may store it, but revalidate it
    response.headers[NOW_HEADER] = iso(page.schedule_now(), "milliseconds")
    response.make_conditional(request)
    return response


def read_system_view(cur: cursor) -> SystemView:
    """Return the state of the system, from the snapshot cache."""
    cache: SnapshotCache = current_app.extensions[SNAPSHOT_CACHE]
    return cache.get(backends(), cur)


def render_page(template: str, system_view: SystemView, **values: Any) -> RenderedPage:
    """Render a template with these values and those that all pages need."""
    signed_in = g.get("token") if COOKIE in request.cookies else None
    html = render_template(template, system_view=system_view, may_write=g.may_write, signed_in=signed_in, **values)
    return RenderedPage(html, system_view.now)
