"""API tokens: `python -m api.tokens NAME [--read-only]` generates one.

API_TOKENS holds their names, access and hashes. A token is 256 random bits, which cannot be guessed from its hash,
however fast that is: a slow hash is for passwords.
"""

import argparse
import hashlib
import hmac
import re
import secrets
from collections.abc import Sequence
from typing import NamedTuple

PREFIX = "cm_"  # lets people and secret scanners recognise a token
TOKEN_PATTERN = re.compile(f"{PREFIX}[A-Za-z0-9_-]{{43}}")
ENTRY_PATTERN = re.compile(r"([A-Za-z0-9._-]{1,64}):(read|write):([0-9a-f]{64})")


class Token(NamedTuple):
    """A token that the API accepts."""

    name: str
    may_write: bool
    digest: str  # SHA-256, in hexadecimal


def parse(entries: str) -> list[Token]:
    """Return the tokens of API_TOKENS; raises ValueError, which names the entry by its number: it may be a secret."""
    tokens: list[Token] = []
    for number, entry in enumerate(filter(None, re.split(r"[,\s]+", entries)), 1):
        match = ENTRY_PATTERN.fullmatch(entry)
        if not match:
            raise ValueError(
                f"entry {number} of API_TOKENS is not name:read|write:hash; python -m api.tokens NAME makes one"
            )
        name, access, digest = match.groups()
        if name in {token.name for token in tokens}:
            raise ValueError(f'API_TOKENS has the name "{name}" twice; give each token its own')
        tokens.append(Token(name, access == "write", digest))
    return tokens


def find(tokens: Sequence[Token], presented: str) -> Token | None:
    """Return the token that was presented, in a time that does not depend on how similar a wrong one is."""
    digest = hashlib.sha256(presented.encode("utf-8", "surrogateescape")).hexdigest()
    match = None
    for token in tokens:  # all of them, so that the time does not depend on the index of the match either
        if hmac.compare_digest(token.digest, digest):
            match = token
    return match


def make(name: str, *, may_write: bool) -> tuple[str, str]:
    """Return a new token, and its entry for API_TOKENS; raises ValueError for an invalid name."""
    token = PREFIX + secrets.token_urlsafe(32)
    digest = hashlib.sha256(token.encode()).hexdigest()
    entry = f"{name}:{'write' if may_write else 'read'}:{digest}"
    if not ENTRY_PATTERN.fullmatch(entry):
        raise ValueError(f'the name "{name}" cannot be used; write 1 to 64 of A-Z a-z 0-9 . _ -')
    return token, entry


def main() -> None:
    """Generate a token and print it; it is not stored."""
    parser = argparse.ArgumentParser(prog="python -m api.tokens", description="Make a token for the API.")
    parser.add_argument("name", help="who will use it; shown in the log")
    parser.add_argument("--read-only", action="store_true", help="it may not change anything")
    arguments = parser.parse_args()
    try:
        token, entry = make(arguments.name, may_write=not arguments.read_only)
    except ValueError as error:
        parser.error(str(error))
    print(f"The token, which is shown only this once:\n\n    {token}\n")
    print(f"Add to API_TOKENS (entries are separated by commas), and start the API again:\n\n    {entry}")


if __name__ == "__main__":
    main()
