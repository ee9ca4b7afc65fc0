"""SQL scripts of this folder, and the choice of those that a database still needs."""

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

FOLDER = Path(__file__).parent
MIGRATIONS = "migrations"  # run once
REPEATABLE = "repeatable"  # run again whenever their content has changed
TEST_DATA = FOLDER / "test_data.sql"


class Script(NamedTuple):
    """SQL script with its path below sql/, such as migrations/0001_baseline.sql."""

    name: str
    content: str

    @property
    def checksum(self) -> str:
        """SHA-256 of the content in hexadecimal; line ends of a checkout make no difference."""
        return hashlib.sha256(self.content.encode()).hexdigest()


class EditedMigration(Exception):
    """A migration has run with other content."""


def scripts(folder: Path = FOLDER) -> list[Script]:
    """Return all migrations, then all repeatable scripts, each in the order of their numbers."""
    return [script for kind in (MIGRATIONS, REPEATABLE) for script in _scripts_of(folder, kind)]


def _scripts_of(folder: Path, kind: str) -> Iterator[Script]:
    for path in sorted((folder / kind).glob("*.sql")):
        yield Script(f"{kind}/{path.name}", path.read_text(encoding="utf-8"))


def unknown_migrations(available: list[Script], applied: Mapping[str, str]) -> list[str]:
    """Return the migrations that have run and that this version does not have: a newer version has upgraded it."""
    names = {script.name for script in available}
    return sorted(name for name in applied if name.startswith(MIGRATIONS) and name not in names)


def pending(available: list[Script], applied: Mapping[str, str]) -> list[Script]:
    """Return the scripts to run, given the checksums of those that have run. Raises EditedMigration."""
    changed = [script for script in available if applied.get(script.name) != script.checksum]
    for script in changed:
        if script.name.startswith(MIGRATIONS) and script.name in applied:
            raise EditedMigration(
                f"sql/{script.name} was edited after it ran on this database; restore it, and write a new migration"
            )
    return changed
