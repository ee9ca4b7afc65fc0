"""Scheduler configuration from environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from typing import Self

from core.environment import database_url, positive, read, redis_url


@dataclass(frozen=True)
class Settings:
    """Settings, read once at start; the README lists the variables."""

    database_url: str
    redis_url: str
    batch_size: int  # models in one message
    catch_up: timedelta  # a due time missed longer ago is only counted
    fires_retention: timedelta
    results_retention: timedelta | None  # None: no row of results is deleted
    queue_limit: int  # waiting messages above which nothing is published

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raises KeyError or ValueError, naming the variable."""
        return cls(
            database_url=database_url(env["DATABASE_URL"]),
            redis_url=redis_url(env["REDIS_URL"]),
            batch_size=positive(env, "BATCH_SIZE", 100),
            catch_up=timedelta(days=positive(env, "CATCH_UP", 7)),
            fires_retention=timedelta(days=positive(env, "FIRES_RETENTION", 30)),
            results_retention=(
                timedelta(days=positive(env, "RESULTS_RETENTION", 1)) if "RESULTS_RETENTION" in env else None
            ),
            queue_limit=positive(env, "QUEUE_LIMIT", 100_000),
        )


@cache
def settings() -> Settings:
    """Return the settings of this process; invalid ones end it with a line that names the variable."""
    return read(Settings.from_env)
