"""API tokens: generated, parsed, found."""

import subprocess
import sys

import pytest

from api.tokens import find, make, parse
from tests.support.databases import DEFAULT_TIMEOUT


def test_generated_token_is_found() -> None:
    token, entry = make("ci", may_write=True)
    other, other_entry = make("grafana", may_write=False)

    tokens = parse(f"{entry},\n {other_entry},")

    assert token.startswith("cm_")
    assert token not in entry
    assert [(listed.name, listed.may_write) for listed in tokens] == [("ci", True), ("grafana", False)]
    assert find(tokens, token) == tokens[0]
    assert find(tokens, other) == tokens[1]


@pytest.mark.parametrize("presented", ["", "cm_", "ci", "\x00", "\udcff", "x" * 10_000])
def test_other_token_is_not_found(presented: str) -> None:
    token, entry = make("ci", may_write=True)
    tokens = parse(entry)

    assert find(tokens, presented) is None
    assert find(tokens, token[:-1]) is None
    assert find(tokens, token + "A") is None
    assert find(tokens, tokens[0].digest) is None, "the hash must not be accepted as the token"


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ("cm_secret", "entry 1 of API_TOKENS is not name:read|write:hash"),
        ("ci:write:" + "0" * 64 + ",ci2:admin:" + "0" * 64, "entry 2 of API_TOKENS is not"),
        ("ci:write:" + "0" * 63, "entry 1 of API_TOKENS is not"),
        ("ci:read:" + "0" * 64 + ",ci:write:" + "1" * 64, 'API_TOKENS has the name "ci" twice'),
    ],
)
def test_invalid_api_tokens_are_rejected_and_not_repeated(entries: str, message: str) -> None:
    with pytest.raises(ValueError, match="API_TOKENS") as raised:
        parse(entries)

    assert message in str(raised.value)
    assert "secret" not in str(raised.value)
    assert "0" * 63 not in str(raised.value)


def test_empty_api_tokens_are_no_tokens() -> None:
    assert parse("") == []


def test_command_prints_a_token_and_its_entry() -> None:
    command = [sys.executable, "-m", "api.tokens", "grafana", "--read-only"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=DEFAULT_TIMEOUT, check=True)

    [token] = [line.strip() for line in process.stdout.splitlines() if line.strip().startswith("cm_")]
    [entry] = [line.strip() for line in process.stdout.splitlines() if line.strip().startswith("grafana:read:")]
    match = find(parse(entry), token)
    assert match is not None
    assert not match.may_write


def test_command_rejects_an_invalid_name() -> None:
    command = [sys.executable, "-m", "api.tokens", "a,b"]
    process = subprocess.run(command, capture_output=True, text=True, timeout=DEFAULT_TIMEOUT, check=False)

    assert process.returncode == 2
    assert 'the name "a,b" cannot be used' in process.stderr
