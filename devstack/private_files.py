"""Files that only their owner can read: passwords, and URLs that contain them."""

import json
import os
import secrets
from collections.abc import Iterable
from pathlib import Path


def write_private(path: Path, text: str) -> None:
    """Replace the file at once: nobody sees it half written, or readable by others."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode=0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(descriptor)
    draft.replace(path)


def kept_passwords(path: Path, roles: Iterable[str]) -> dict[str, str]:
    """Return a password for each role, from the file where it has one, else a new one that it keeps."""
    kept: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    passwords = {role: kept.get(role) or secrets.token_urlsafe() for role in roles}
    if passwords != kept:
        write_private(path, json.dumps(passwords, indent=2) + "\n")
    return passwords
