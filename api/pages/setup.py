"""What the pages need of an application."""

from flask import Flask

from api.pages import model, overview, page, sign_in, words
from api.pages.census import Counting
from api.pages.renderings import Renderings
from api.pages.whole import Looking
from api.settings import Settings


def register(app: Flask, settings: Settings) -> None:
    """Serve the pages."""
    app.jinja_env.trim_blocks = app.jinja_env.lstrip_blocks = True
    app.extensions[page.RENDERINGS] = Renderings()
    app.extensions[page.LOOKING] = Looking()
    app.extensions[overview.COUNTING] = Counting(settings)
    words.register(app)
    for module in (overview, model, sign_in):
        app.register_blueprint(module.blueprint)
