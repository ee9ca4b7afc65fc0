"""Files that only their owner can read: passwords, and URLs that contain them."""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace the file atomically: it is never partially written, or readable by others."""
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)


def load_passwords(path: Path, roles: Iterable[str]) -> dict[str, str]:
    """Return a password for each role from the file; missing ones are generated and saved."""
    saved: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    passwords = {role: saved.get(role) or secrets.token_urlsafe() for role in roles}
    if passwords != saved:
        write_private(path, json.dumps(passwords, indent=2) + "\n")
    return passwords
