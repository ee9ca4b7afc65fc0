"""Refuses a Python that is too old, in one line; to be imported first, by whatever Python there is."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036  # an old Python does come here
    version = sys.version.split()[0]
    sys.exit(f"This needs Python 3.11 or newer, and {sys.executable} is {version}: try make run PYTHON=python3.12")
