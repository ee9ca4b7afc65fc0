"""What the pages need of an application."""

from flask import Flask

from api import error_handlers
from api.pages import error_page, filters, model, overview, response, sign_in
from api.pages.page_cache import Renderings
from api.pages.snapshot import Looking
from api.pages.statistics import Counting
from api.settings import Settings


def register(app: Flask, settings: Settings) -> None:
    """Serve the pages."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions[response.RENDERINGS] = Renderings()
    app.extensions[response.LOOKING] = Looking()
    app.extensions[overview.COUNTING] = Counting(settings)
    filters.register(app)
    error_handlers.set_renderer(app, error_page.render)
    for module in (overview, model, sign_in):
        app.register_blueprint(module.blueprint)
