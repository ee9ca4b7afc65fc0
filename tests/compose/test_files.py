"""Each image has the modules that its service imports from the others, and no more. Needs no Docker."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from local.process import ROOT

PACKAGES = ("api", "scheduler", "worker")


def copied(service: str) -> set[Path]:
    """Return the Python files that the service's stage of the Dockerfile copies."""
    stage = (ROOT / "Dockerfile").read_text().split(f"FROM base AS {service}\n")[1].split("\nFROM ")[0]
    sources = [
        ROOT / source
        for line in re.findall(r"^COPY --chmod=755 (.+) \S+$", stage, re.MULTILINE)
        for source in line.split()
    ]
    return {file for source in sources for file in (source.rglob("*.py") if source.is_dir() else [source])}


def needed(service: str) -> set[Path]:
    """Return the service's own files, and whatever they import from the packages here."""
    found: set[Path] = set()
    waiting = list((ROOT / service).rglob("*.py"))
    while waiting:
        file = waiting.pop()
        if file not in found:
            found.add(file)
            waiting += imported(file)
    return found


def imported(file: Path) -> Iterator[Path]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            yield from modules(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from modules(f"{node.module}.{alias.name}" for alias in node.names)


def modules(names: Iterable[str]) -> Iterator[Path]:
    """Yield the files here that importing a dotted name runs; its last part may be no module."""
    for name in names:
        parts = name.split(".")
        if parts[0] in PACKAGES:
            for end in range(1, len(parts) + 1):
                path = ROOT.joinpath(*parts[:end])
                yield from (file for file in (path / "__init__.py", path.with_suffix(".py")) if file.exists())


@pytest.mark.parametrize("service", PACKAGES)
def test_an_image_has_the_modules_that_its_service_imports(service: str) -> None:
    assert copied(service) == needed(service)
