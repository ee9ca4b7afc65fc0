"""The API process: python -m api.main."""

import logging
import signal
import sys
from types import FrameType

from flask import Flask

from api import error_handlers
from api.backends import EXTENSION, Backends
from api.cron.routes import blueprint as cron
from api.http.limits import DEFAULT_LIMITS, Limits
from api.http.server import serve
from api.middleware import access_control, request_log, request_metrics
from api.openapi.routes import blueprint as docs
from api.pages import register as pages
from api.results.routes import blueprint as results
from api.schedules.routes import blueprint as schedules
from api.settings import Settings
from api.status import prometheus
from api.status.routes import blueprint as health
from core.environment import read

log = logging.getLogger(__name__)

LOG_FORMAT = f"%(levelname)s %(message)s%({request_log.SUFFIX})s"


def create_app(settings: Settings) -> Flask:
    """Return the application; it connects to PostgreSQL and Redis at the first request that needs them."""
    app = Flask(__name__, static_folder="pages/static", template_folder="pages/templates")
    app.url_map.merge_slashes = False  # /schedule//run, without the id, must be a 404, not a redirect to /schedule/run
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    app.extensions[EXTENSION] = Backends(settings)
    error_handlers.register(app)
    request_log.register(app)
    request_metrics.register(app, prometheus.register(app, settings))
    access_control.register(app, settings)
    for blueprint in (schedules, results, cron, health, docs):
        app.register_blueprint(blueprint)
    pages.register(app, settings)
    return app


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise SystemExit(0)


def _configure_logging() -> None:
    # Not in the format, so not computed.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    handler = logging.StreamHandler(sys.stdout)
    handler.addFilter(request_log.RequestIdFilter())
    logging.basicConfig(level="INFO", format=LOG_FORMAT, handlers=[handler])


def main(limits: Limits = DEFAULT_LIMITS) -> None:
    """Serve until SIGTERM, then finish the requests in progress."""
    _configure_logging()
    settings = read(Settings.from_env)
    if not settings.api_tokens and not settings.is_loopback:
        log.warning(
            "API_TOKENS is empty: anyone who can reach %s:%s can change schedules", settings.host, settings.port
        )
    signal.signal(signal.SIGTERM, _stop)
    serve(create_app(settings), settings, access_control.HEADERS, limits)


if __name__ == "__main__":
    main()
