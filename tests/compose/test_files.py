"""Each service gets the modules that it imports, the variables that it reads, and no more. Needs no Docker."""

import ast
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from local.process import ROOT
from tests.contracts.environment import variables

PACKAGES = ("api", "scheduler", "worker")
OF_LIBPQ = {"PGPASSWORD"}
OF_THE_IMAGE = {"HOST", "PORT"}


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


def given(service: str) -> set[str]:
    """Return the variables that compose gives to a service."""
    section = (ROOT / "compose.yaml").read_text().split(f"\n  {service}:")[1]
    [block] = re.findall(r"^    environment:\n((?: {6}.+\n)+)", section.split("\n\n")[0], re.MULTILINE)
    return set(re.findall(r"^ {6}(\w+):", block, re.MULTILINE))


@pytest.mark.parametrize("service", PACKAGES)
def test_a_service_is_given_what_its_settings_read(service: str) -> None:
    assert given(service) - OF_LIBPQ == variables(service) - OF_THE_IMAGE
