"""PostgreSQL refuses to run as root: then the account "nobody" runs it, in folders that it can reach."""

import os
import pwd
import shutil
import tempfile
from pathlib import Path

USER = "nobody"
OUTSIDE = Path("/var/lib/cyclic-metrics")


def postgres_user() -> str:
    """Return the account to run PostgreSQL as; empty for one's own."""
    return USER if os.geteuid() == 0 else ""


def reachable_folder(folder: Path) -> Path:
    """Make folder, as nobody's own; under a closed one (a clone in /root) it is a link to one outside."""
    if not folder.exists() and not folder.is_symlink() and not _is_open(folder.parent):
        OUTSIDE.mkdir(parents=True, exist_ok=True)
        OUTSIDE.chmod(0o755)
        folder.symlink_to(tempfile.mkdtemp(dir=OUTSIDE))
    folder = folder.resolve()
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    give(folder)
    return folder


def reachable_binaries(binaries: Path, home: Path, version: str) -> Path:
    """Return binaries, or where they are closed to nobody a copy of them below home."""
    if _is_open(binaries / "postgres"):
        return binaries
    installation, libraries = binaries.parent, binaries.parent.parent.with_suffix(".libs")
    copy = home / f"binaries-{version}"
    if not copy.exists():
        draft = home / "binaries.new"
        shutil.rmtree(draft, ignore_errors=True)
        # The two keep their places to each other: the binaries look for the libraries there.
        shutil.copytree(installation, draft / libraries.stem / installation.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, draft / libraries.name)
        for path in draft.rglob("*"):
            give(path)
        give(draft)
        draft.rename(copy)
    return copy / libraries.stem / installation.name / binaries.name


def give(path: Path) -> None:
    """Make nobody the owner of a file or folder."""
    account = pwd.getpwnam(USER)
    os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _is_open(path: Path) -> bool:
    """Whether any account can go through every folder down to path, and into it (or execute it)."""
    path = path.resolve()
    return all(place.stat().st_mode & 0o001 for place in (path, *path.parents))
