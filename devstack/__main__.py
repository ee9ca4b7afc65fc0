"""Starts the whole stack on this machine: python -m devstack."""

import sys

# Stands before the other imports, for they cannot even be parsed by an old Python.
import devstack.python_version  # noqa: F401  # imported for its effect

try:
    from devstack.launcher import main

    sys.exit(main())
except KeyboardInterrupt:  # Ctrl-C before the launcher listens to signals: nothing is running yet
    sys.exit(0)
