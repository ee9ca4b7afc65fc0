"""Registration of the pages."""

from flask import Flask

from api import error_handlers
from api.pages import error_page, filters, model, overview, response, sign_in
from api.pages.page_cache import PageCache
from api.pages.snapshot import SnapshotCache
from api.pages.statistics_cache import StatisticsCache
from api.settings import Settings


def register(app: Flask, settings: Settings) -> None:
    """Register the pages, their caches, template filters and the error page."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions[response.PAGE_CACHE] = PageCache()
    app.extensions[response.SNAPSHOT_CACHE] = SnapshotCache()
    app.extensions[overview.STATISTICS_CACHE] = StatisticsCache(settings)
    filters.register(app)
    error_handlers.set_renderer(app, error_page.render)
    for module in (overview, model, sign_in):
        app.register_blueprint(module.blueprint)
