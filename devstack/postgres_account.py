"""The account that runs PostgreSQL, which does not run as root: "nobody", in folders that it can access."""

import os
import pwd
import shutil
import tempfile
from pathlib import Path

ACCOUNT = "nobody"
ACCESSIBLE_DIR = Path("/var/lib/cyclic-metrics")


def postgres_user() -> str:
    """Return the account to run PostgreSQL as; empty for the current one."""
    return ACCOUNT if os.geteuid() == 0 else ""


def accessible_folder(folder: Path, accessible_dir: Path = ACCESSIBLE_DIR) -> Path:
    """Create the folder, owned by the account; below an inaccessible one (/root), it is a link to accessible_dir."""
    if not folder.exists() and not folder.is_symlink() and not _is_accessible(folder.parent):
        accessible_dir.mkdir(parents=True, exist_ok=True)
        accessible_dir.chmod(0o755)
        folder.symlink_to(tempfile.mkdtemp(dir=accessible_dir))
    folder = folder.resolve()
    folder.mkdir(parents=True, mode=0o700, exist_ok=True)
    change_owner(folder)
    return folder


def accessible_binaries(binaries: Path, home: Path, version: str) -> Path:
    """Return the folder of the binaries, or of a copy below home if the account cannot access them."""
    if _is_accessible(binaries / "postgres"):
        return binaries
    installation, libraries = binaries.parent, binaries.parent.parent.with_suffix(".libs")
    copy = home / f"binaries-{version}"
    if not copy.exists():
        temporary = home / "binaries.new"
        shutil.rmtree(temporary, ignore_errors=True)
        # Their relative positions stay the same, since the binaries search for the libraries there.
        shutil.copytree(installation, temporary / libraries.stem / installation.name, symlinks=True)
        if libraries.exists():
            shutil.copytree(libraries, temporary / libraries.name)
        for path in (temporary, *temporary.rglob("*")):
            change_owner(path)
        temporary.rename(copy)
    return copy / libraries.stem / installation.name / binaries.name


def change_owner(path: Path) -> None:
    """Make the account the owner of a file or folder."""
    account = pwd.getpwnam(ACCOUNT)
    os.chown(path, account.pw_uid, account.pw_gid, follow_symlinks=False)


def _is_accessible(path: Path) -> bool:
    """Return True if any account can enter every folder on the path, and enter or execute the path itself."""
    path = path.resolve()
    return all(part.stat().st_mode & 0o001 for part in (path, *path.parents))
