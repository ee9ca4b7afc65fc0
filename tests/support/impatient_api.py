"""An API whose patience ends soon: python -m tests.support.impatient_api."""

import api.http.connection
from api.main import main

PATIENCE = 1.5  # seconds

if __name__ == "__main__":
    api.http.connection.PATIENCE = PATIENCE  # type: ignore[attr-defined]  # it imports it from limits
    main()
