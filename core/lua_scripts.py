"""Lua scripts for Redis, stored as files beside the modules that run them."""

from importlib.resources import files


def read_script(package: str | None, path: str) -> str:
    """Return the source of a script; path is relative to the package, such as "scripts/add_results.lua"."""
    assert package is not None, "a script belongs to a package"
    return files(package).joinpath(path).read_text("utf-8")
