"""Settings of the API: invalid ones are rejected without repeating secrets."""

import pytest

from api.settings import Settings
from api.tokens import make

SECRET = "correct-horse"
ENV = {
    "DATABASE_URL": f"postgresql://metrics_api:{SECRET}@127.0.0.1:9/none",
    "REDIS_URL": f"redis://:{SECRET}@127.0.0.1:9/0",
}
_, TOKEN_ENTRY = make("grafana", may_write=False)


@pytest.mark.parametrize(
    "name", ["metrics.example:8443", "https://metrics.example", "::1", "*.metrics.example", "metrics.example/", "żółw"]
)
def test_allowed_host_that_no_request_can_have_is_rejected(name: str) -> None:
    with pytest.raises(ValueError, match=r'ALLOWED_HOSTS has ".+"; write names without scheme and port'):
        Settings.from_env(ENV | {"ALLOWED_HOSTS": f"localhost, {name}"})


@pytest.mark.parametrize(
    ("host", "variables", "allowed"),
    [
        ("127.0.0.1", {}, True),
        ("127.8.9.1", {}, True),
        ("::1", {}, True),
        ("localhost", {}, True),
        ("0.0.0.0", {}, False),  # noqa: S104
        ("::", {}, False),
        ("192.168.0.7", {}, False),
        ("metrics.example", {}, False),
        ("", {}, False),
        ("0.0.0.0", {"ALLOW_ANONYMOUS": "true"}, True),  # noqa: S104
        ("0.0.0.0", {"ALLOW_ANONYMOUS": "false"}, False),  # noqa: S104
        ("0.0.0.0", {"API_TOKENS": TOKEN_ENTRY}, True),  # noqa: S104
    ],
)
def test_host_other_than_loopback_needs_tokens_or_allow_anonymous(
    host: str, variables: dict[str, str], allowed: bool
) -> None:
    env = ENV | {"HOST": host} | variables

    if allowed:
        assert Settings.from_env(env).host == host
    else:
        with pytest.raises(ValueError, match=r"set API_TOKENS .*, or HOST=127\.0\.0\.1, or ALLOW_ANONYMOUS=true"):
            Settings.from_env(env)


@pytest.mark.parametrize(
    ("variable", "url"),
    [
        ("DATABASE_URL", f"postgresql://metrics_api:{SECRET}@[::1/none"),
        ("DATABASE_URL", f"postgresql://metrics_api:{SECRET}%@127.0.0.1:9/none"),
        ("DATABASE_URL", f"host=127.0.0.1 port=9 password={SECRET} nonsense"),
        ("DATABASE_URL", f"host=127.0.0.1 port=9 password='{SECRET}"),
        ("DATABASE_URL", f"postgresql://metrics_api:pass@{SECRET}@127.0.0.1:9/none"),
        ("DATABASE_URL", f"postgresql://metrics_api:{SECRET}/word@127.0.0.1:9/none"),
        ("DATABASE_URL", f"postgresql://metrics_api:123/{SECRET}@127.0.0.1:9/none"),
        ("REDIS_URL", f"redis://:{SECRET}/word@127.0.0.1:9/0"),
        ("REDIS_URL", f"redis://:123/{SECRET}@127.0.0.1:9/0"),
        ("REDIS_URL", f"redis://:123?{SECRET}@127.0.0.1:9/0"),
        ("REDIS_URL", f"redis://:{SECRET}@127.0.0.1:9x/0"),
        ("REDIS_URL", f"{SECRET}@127.0.0.1"),
        ("REDIS_URL", f"redis://:{SECRET}@[::1/0"),
    ],
)
def test_malformed_url_is_rejected_and_not_repeated(variable: str, url: str) -> None:
    """libpq would repeat parts of it in its error messages."""
    with pytest.raises(ValueError, match=f"{variable} cannot be read; write ") as raised:
        Settings.from_env(ENV | {variable: url})

    assert SECRET not in str(raised.value)


def test_percent_encoded_password_is_accepted() -> None:
    urls = {
        "DATABASE_URL": "postgresql://a:%40%2F%3A%3F%23@127.0.0.1/b",
        "REDIS_URL": "redis://:%40%2F%3A%3F%23@127.0.0.1/0",
    }

    settings = Settings.from_env(urls)

    assert (settings.database_url, settings.redis_url) == (urls["DATABASE_URL"], urls["REDIS_URL"])
