"""What the API was started with, as the views reach it."""

from dataclasses import dataclass
from typing import cast

import redis
from flask import current_app

from api.database import Database
from api.settings import Settings
from worker.results import Results

EXTENSION = "cyclic-metrics"


@dataclass(frozen=True)
class Services:
    """PostgreSQL, Redis, the results in it, and the settings."""

    database: Database
    redis: redis.Redis
    results: Results
    settings: Settings


def services() -> Services:
    """Return those of the application that handles the request."""
    return cast("Services", current_app.extensions[EXTENSION])
