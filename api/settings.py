"""What the environment says to the API."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from worker.settings import positive


@dataclass(frozen=True)
class Settings:
    """Read once, at start; the README lists the variables."""

    database_url: str
    redis_url: str
    host: str
    port: int
    queue_age_limit: timedelta  # a message that waits, or is being worked on, for longer is a problem

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Raises KeyError or ValueError, naming the variable."""
        return cls(
            database_url=env["DATABASE_URL"],
            redis_url=env["REDIS_URL"],
            host=env.get("HOST", "127.0.0.1"),
            port=positive(env, "PORT", 5000),
            queue_age_limit=timedelta(seconds=positive(env, "QUEUE_AGE_LIMIT", 300)),
        )
