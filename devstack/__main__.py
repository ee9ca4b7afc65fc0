"""Entry point of the development stack: python -m devstack."""

import sys

# Precedes the other imports, which an old Python cannot even parse.
import devstack.python_version  # noqa: F401  # imported for its effect

try:
    from devstack.launcher import main

    sys.exit(main())
except KeyboardInterrupt:  # Ctrl-C before the launcher handles signals: nothing is running yet
    sys.exit(0)
