"""Links, commands and paths of the documents."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from devstack.process import ROOT

DOCUMENTS = sorted(path.relative_to(ROOT) for path in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])
FENCED_CODE = re.compile(r"^( *)```(?s:.*?)^\1```$", re.MULTILINE)
CODE = re.compile(rf"{FENCED_CODE.pattern}|^ {{4}}.+$|`[^`\n]+`", re.MULTILINE)


def prose(document: Path) -> str:
    return FENCED_CODE.sub("", (ROOT / document).read_text())


def anchors(document: Path) -> Iterator[str]:
    """Yield the anchors of the headings, as GitHub derives them."""
    for heading in re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE):
        yield re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")


def test_anchor_is_the_heading_without_punctuation() -> None:
    assert "what-is-refused-and-why" in anchors(Path("docs/cron.md"))


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_links_lead_to_files_and_headings(document: Path) -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(document)):
        name, _, anchor = target.partition("#")
        if "://" in name:
            continue
        linked = (document.parent / name if name else document).as_posix()
        path = (ROOT / linked).resolve()
        assert path.exists(), target
        assert not anchor or anchor in anchors(path), target


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_make_targets_exist(document: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    code = "\n".join(match[0] for match in CODE.finditer((ROOT / document).read_text()))

    assert set(re.findall(r"\bmake ([a-z-]+)", code)) <= targets


def test_code_map_lists_existing_paths_and_every_package() -> None:
    code_map = (ROOT / "docs/architecture.md").read_text().partition("## Code map")[2]
    rows = re.findall(r"^\| `([^`]+)/` \| .+ \| `([^`]+)` \|$", code_map, re.MULTILINE)
    folders = {folder for folder, _ in rows}
    packages = {
        path.parent.relative_to(ROOT).as_posix()
        for name in ("core", "api", "scheduler", "worker")
        for path in (ROOT / name).glob("**/__init__.py")
    }

    assert [path for row in rows for path in row if not (ROOT / path).exists()] == []
    assert [first for folder, first in rows if not first.startswith(folder)] == []
    assert packages <= folders


@pytest.mark.parametrize("index", ["docs/index.md", "docs/adr/README.md"])
def test_index_lists_every_document_of_its_folder(index: str) -> None:
    linked = set(re.findall(r"\]\(([^)\s#]+)\)", prose(Path(index))))
    documents = {path.name for path in (ROOT / index).parent.glob("*.md")} - {Path(index).name}

    assert documents <= linked
