"""Commands in the documents."""

from itertools import groupby

from devstack.process import ROOT

INDENT = "    "


def code_blocks(document: str, heading: str) -> list[list[str]]:
    """Return the indented blocks below a heading, each as its lines."""
    text = (ROOT / document).read_text()
    section = text.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    groups = groupby(section.splitlines(), key=lambda line: line.startswith(INDENT))
    return [[line.removeprefix(INDENT) for line in lines] for indented, lines in groups if indented]
