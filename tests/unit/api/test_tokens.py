"""Tokens: made, listed, found."""

import subprocess
import sys

import pytest

from api.tokens import find, make, parse
from tests.support.databases import DEADLINE


def test_a_token_that_was_made_is_found() -> None:
    token, entry = make("ci", may_write=True)
    other, other_entry = make("grafana", may_write=False)

    tokens = parse(f"{entry},\n {other_entry},")

    assert token.startswith("cm_")
    assert token not in entry
    assert [(known.name, known.may_write) for known in tokens] == [("ci", True), ("grafana", False)]
    assert find(tokens, token) == tokens[0]
    assert find(tokens, other) == tokens[1]


@pytest.mark.parametrize("presented", ["", "cm_", "ci", "\x00", "\udcff", "x" * 10_000])
def test_another_is_not_found(presented: str) -> None:
    token, entry = make("ci", may_write=True)
    tokens = parse(entry)

    assert find(tokens, presented) is None
    assert find(tokens, token[:-1]) is None
    assert find(tokens, token + "A") is None
    assert find(tokens, tokens[0].digest) is None, "the hash must not do as the token"


@pytest.mark.parametrize(
    ("entries", "said"),
    [
        ("cm_secret", "entry 1 of API_TOKENS is not name:read|write:hash"),
        ("ci:write:" + "0" * 64 + ",ci2:admin:" + "0" * 64, "entry 2 of API_TOKENS is not"),
        ("ci:write:" + "0" * 63, "entry 1 of API_TOKENS is not"),
        ("ci:read:" + "0" * 64 + ",ci:write:" + "1" * 64, 'API_TOKENS has the name "ci" twice'),
    ],
)
def test_a_wrong_list_is_refused_and_not_repeated(entries: str, said: str) -> None:
    with pytest.raises(ValueError, match="API_TOKENS") as refusal:
        parse(entries)

    assert said in str(refusal.value)
    assert "secret" not in str(refusal.value)
    assert "0" * 63 not in str(refusal.value)


def test_no_list_is_no_tokens() -> None:
    assert parse("") == []


def test_a_command_makes_one() -> None:
    command = [sys.executable, "-m", "api.tokens", "grafana", "--read-only"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=True)

    [token] = [line.strip() for line in made.stdout.splitlines() if line.strip().startswith("cm_")]
    [entry] = [line.strip() for line in made.stdout.splitlines() if line.strip().startswith("grafana:read:")]
    found = find(parse(entry), token)
    assert found is not None
    assert not found.may_write


def test_the_command_refuses_a_name_that_no_list_can_have() -> None:
    command = [sys.executable, "-m", "api.tokens", "a,b"]
    made = subprocess.run(command, capture_output=True, text=True, timeout=DEADLINE, check=False)

    assert made.returncode == 2
    assert 'the name "a,b" cannot be used' in made.stderr
