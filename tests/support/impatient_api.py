"""An API whose patience ends soon: python -m tests.support.impatient_api."""

import api.http.connection
from api.main import main

CLIENT_TIMEOUT = 1.5  # seconds

if __name__ == "__main__":
    api.http.connection.CLIENT_TIMEOUT = CLIENT_TIMEOUT  # type: ignore[attr-defined]  # it imports it from limits
    main()
