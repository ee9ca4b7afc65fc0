"""The API's process: python -m api.main."""

import logging
import signal
import sys
import time
from types import FrameType

from flask import Flask, Response, g, request

from api import collection, cron, docs, health, model_results, problems, schedules
from api.database import Database
from api.server import serve
from api.services import EXTENSION, Services
from api.settings import Settings
from worker import results
from worker.settings import read

log = logging.getLogger(__name__)

REDIS_PATIENCE = 2  # seconds


def create_app(settings: Settings) -> Flask:
    """Make the application; it connects to PostgreSQL and Redis when it is asked something."""
    app = Flask(__name__)
    app.json.sort_keys = False  # type: ignore[attr-defined]  # of Flask's default provider
    client = results.connect(settings.redis_url, patience=REDIS_PATIENCE)
    app.extensions[EXTENSION] = Services(Database(settings.database_url), client, results.Results(client), settings)
    problems.register(app)
    for module in (schedules, collection, model_results, cron, health, docs):
        app.register_blueprint(module.blueprint)
    app.before_request(_begin)
    app.after_request(_log)
    return app


def _begin() -> None:
    g.began = time.monotonic()


def _log(response: Response) -> Response:
    milliseconds = (time.monotonic() - g.began) * 1000
    probed = request.blueprint == health.blueprint.name and response.status_code == 200
    log.log(
        logging.DEBUG if probed else logging.INFO,
        "%s %s %s %.1f ms", request.method, request.path, response.status_code, milliseconds,
    )  # fmt: skip
    return response


def _stop(_signal: int, _frame: FrameType | None) -> None:
    """Let the server finish the requests at hand."""
    raise SystemExit(0)


def main() -> None:
    """Serve until SIGTERM."""
    logging.basicConfig(level="INFO", format="%(levelname)s %(message)s", stream=sys.stdout)
    settings = read(Settings.from_env)
    signal.signal(signal.SIGTERM, _stop)
    serve(create_app(settings), settings, headers={})


if __name__ == "__main__":
    main()
