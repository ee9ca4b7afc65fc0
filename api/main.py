"""The API's process: python -m api.main."""

import logging
import signal
import sys
from types import FrameType

from flask import Flask

from api import error_handlers
from api.backends import EXTENSION, Backends
from api.cron.routes import blueprint as cron
from api.http.server import serve
from api.middleware import access_control, request_log
from api.openapi.routes import blueprint as docs
from api.pages import register as pages
from api.results.routes import blueprint as results
from api.schedules.collection_routes import blueprint as bulk
from api.schedules.routes import blueprint as schedules
from api.settings import Settings
from api.status import prometheus
from api.status.routes import blueprint as health
from core.environment import read

log = logging.getLogger(__name__)


def create_app(settings: Settings) -> Flask:
    """Make the application; it connects to PostgreSQL and Redis when it is asked something."""
    app = Flask(__name__, static_folder="pages/static", template_folder="pages/templates")
    app.url_map.merge_slashes = False  # /schedule//run, of a script without its id, is no other address: it is none
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    app.extensions[EXTENSION] = Backends(settings)
    error_handlers.register(app)
    request_log.register(app)
    prometheus.register(app, settings)
    access_control.register(app, settings)
    for blueprint in (schedules, bulk, results, cron, health, prometheus.blueprint, docs):
        app.register_blueprint(blueprint)
    pages.register(app, settings)
    return app


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """Let the server finish the requests at hand."""
    raise SystemExit(0)


def main() -> None:
    """Serve until SIGTERM."""
    # What no line of ours shows, and each would pay for.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(request_log.OfRequest())
    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s%(of_request)s", handlers=[handler])
    settings = read(Settings.from_env)
    if not settings.api_tokens and not settings.is_loopback:
        log.warning("whoever reaches %s:%s may change schedules: API_TOKENS is empty", settings.host, settings.port)
    signal.signal(signal.SIGTERM, _stop)
    serve(create_app(settings), settings, access_control.HEADERS)


if __name__ == "__main__":
    main()
