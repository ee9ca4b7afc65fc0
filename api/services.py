"""The servers behind the API, as the views reach them."""

from dataclasses import dataclass
from typing import cast

import redis
from flask import current_app

from api.database import Database
from worker.results import Results

EXTENSION = "cyclic-metrics"


@dataclass(frozen=True)
class Services:
    """PostgreSQL, Redis, and the results in it."""

    database: Database
    redis: redis.Redis
    results: Results


def services() -> Services:
    """Return those of the application that handles the request."""
    return cast("Services", current_app.extensions[EXTENSION])
