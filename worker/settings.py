"""Worker configuration from environment variables."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from core.environment import database_url, positive, redis_url


@dataclass(frozen=True)
class Settings:
    """Read once, at start; the README lists the variables."""

    database_url: str
    redis_url: str
    time_limit: int  # seconds, of a batch
    memory_limit: int  # MiB by which a process of the pool may grow
    result_history: int  # results kept for each model
    result_ttl_days: int

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Raises KeyError or ValueError, naming the variable."""
        return cls(
            database_url=database_url(env["DATABASE_URL"]),
            redis_url=redis_url(env["REDIS_URL"]),
            time_limit=positive(env, "TIME_LIMIT", 60),
            memory_limit=positive(env, "MEMORY_LIMIT", 500),
            result_history=positive(env, "RESULT_HISTORY", 1000),
            result_ttl_days=positive(env, "RESULT_TTL", 400),
        )
