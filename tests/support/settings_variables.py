"""Environment variables that a service reads."""

import ast
import re
from pathlib import Path


def variables(service: str) -> set[str]:
    """Return the names of the variables, which are the upper-case strings in the service's settings."""
    tree = ast.parse(Path(service, "settings.py").read_text())
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {text for text in strings if re.fullmatch(r"[A-Z][A-Z_]+", text)}
