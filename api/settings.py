"""API configuration from environment variables."""

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from api import tokens
from api.tokens import Token
from core.environment import at_least, boolean, database_url, positive, redis_url

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "[::1]"})
HOST_NAME = re.compile(r"[a-z0-9._-]+|\[[0-9a-f:.]+\]|\*")


@dataclass(frozen=True)
class Settings:
    """Settings, read once at start; the README lists the variables."""

    database_url: str
    redis_url: str
    host: str
    port: int
    queue_age_limit: timedelta  # a message that waits, or is processed, for longer is reported
    model_metrics: int  # models whose results /metrics exports
    api_tokens: list[Token]
    allowed_hosts: frozenset[str]  # in lower case, without ports; "*" allows all

    @classmethod
    def from_env(cls, env: Mapping[str, str] = os.environ) -> Self:
        """Return the settings. Raises KeyError or ValueError, naming the variable."""
        settings = cls(
            database_url=database_url(env["DATABASE_URL"]),
            redis_url=redis_url(env["REDIS_URL"]),
            host=env.get("HOST", "127.0.0.1"),
            port=positive(env, "PORT", 5000),
            queue_age_limit=timedelta(seconds=positive(env, "QUEUE_AGE_LIMIT", 300)),
            model_metrics=at_least(0, env, "MODEL_METRICS", 100),
            api_tokens=tokens.parse(env.get("API_TOKENS", "")),
            allowed_hosts=_host_names(env.get("ALLOWED_HOSTS", "")) or LOOPBACK_NAMES,
        )
        allow_anonymous = boolean(env, "ALLOW_ANONYMOUS", default=False)
        if not (settings.api_tokens or settings.is_loopback or allow_anonymous):
            raise ValueError(
                f'HOST is "{settings.host}", where others could change schedules; set API_TOKENS'
                " (python -m api.tokens NAME makes one), or HOST=127.0.0.1, or ALLOW_ANONYMOUS=true"
            )
        return settings

    @property
    def is_loopback(self) -> bool:
        """Return True if only this machine can reach the API."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"


def _host_names(text: str) -> frozenset[str]:
    names = frozenset(filter(None, re.split(r"[,\s]+", text.lower())))
    for name in sorted(names):
        if not HOST_NAME.fullmatch(name):  # no Host header can match it
            raise ValueError(
                f'ALLOWED_HOSTS has "{name}"; write names without scheme and port, [::1] in brackets, or *'
            )
    return names
