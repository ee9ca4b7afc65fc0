"""What a service asks its environment for."""

import ast
import re
from pathlib import Path


def variables(service: str) -> set[str]:
    """Return the words in capitals that a service's settings ask for."""
    tree = ast.parse(Path(service, "settings.py").read_text())
    words = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return {word for word in words if re.fullmatch(r"[A-Z][A-Z_]+", word)}
