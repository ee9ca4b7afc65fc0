"""Environment variables of the services."""

import ast
import re
from pathlib import Path


def environment_variables(service: str) -> set[str]:
    """Return the names of the variables that a service's settings read: the words in capitals of that module."""
    tree = ast.parse(Path(service, "settings.py").read_text())
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in strings if re.fullmatch(r"[A-Z][A-Z_]+", text)}
