"""Version check of Python, for any version to import: exits with one line if it is too old."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # old versions import this module
    version = sys.version.split()[0]
    sys.exit(f"Python 3.11 or newer is required, and {sys.executable} is {version}: try make run PYTHON=python3.12")
